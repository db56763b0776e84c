"""Books of any size, made up but sound: bots that trade round trips, with every row the ledger derives from them.

The rows are those that the services would have written fill by fill (the fold itself computes them), copied in bulk.
`manage.py verify_ledger` holds over them, so a measurement on them is one of the real thing.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db import connection, transaction

from bots.choices import OrderPurpose, OrderStatus, Side
from bots.ledger.fold import Execution, apply, position_id_of, trade_id_of
from bots.models import Bot
from bots.services.ledger_store import Mark, Origin, derived_columns, exit_reason_of, position_values, trade_values
from bots.services.registry import bot_register
from marketdata.services.candle_rows import rows_from_csv
from marketdata.services.candles import Series, candles_ingest
from tradingdb.db_backend.partitions import ensure_partitions

SOURCE = "import:generated"
EXCHANGE = "generated"
SYMBOLS = tuple(f"{base}USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LINK", "AVAX", "DOT", "LTC"))
FEE_RATE = Decimal("0.001")
CENT, STEP = Decimal("0.01"), Decimal("0.001")
TRADES_AT_ONCE = 10_000
CANDLES_AT_ONCE = 20_000
ENDED = (OrderPurpose.EXIT, OrderPurpose.STOP_LOSS, OrderPurpose.TAKE_PROFIT)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Books:
    """How much to make: round trips spread over the bots and over `days` before `end`, and one-minute candles."""

    bots: int
    trades: int
    candles: int
    days: int
    end: datetime
    seed: int = 1

    def bot_ids(self) -> list[str]:
        return [f"generated_{number:04}" for number in range(1, self.bots + 1)]


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One made-up round trip: in at one price, out at another, all in one fill each."""

    bot_id: str
    number: int
    symbol: str
    is_long: bool
    quantity: Decimal
    entry: tuple[datetime, Decimal]
    exit: tuple[datetime, Decimal]
    purpose: OrderPurpose


def register_bots(books: Books) -> dict[str, Bot]:
    """Register the bots that trade; those that are there stay."""
    start = books.end - timedelta(days=books.days)
    return {
        bot_id: bot_register(
            bot_id=bot_id,
            bot_name=f"Generated {number}",
            bot_type="custom",
            strategy_name="Generated round trips",
            deployment_mode="demo",
            exchange=EXCHANGE,
            initial_capital=Decimal(1_000_000),
            max_positions=len(SYMBOLS),
            registered_at=start,
        ).bot
        for number, bot_id in enumerate(books.bot_ids(), start=1)
    }


def round_trips(books: Books) -> Iterator[RoundTrip]:
    """Yield the round trips in the order of their entries; the same books give the same ones.

    A bot holds one position at a time, so it is flat between its round trips, and at the end.
    """
    luck = random.Random(books.seed)  # noqa: S311 (made-up prices, no secret)  # nosec B311
    prices = {symbol: Decimal(100 * (place + 1)) for place, symbol in enumerate(SYMBOLS)}
    bot_ids = books.bot_ids()
    rounds = -(-books.trades // books.bots)
    span = timedelta(days=books.days) / rounds
    start = books.end - timedelta(days=books.days)
    for number in range(books.trades):
        turn, place = divmod(number, books.bots)
        symbol = SYMBOLS[(turn + place) % len(SYMBOLS)]
        opened = start + span * turn + span * 0.3 * (place / books.bots)
        entry = prices[symbol]
        left = (entry * Decimal(luck.randrange(9_900, 10_103)) / 10_000).quantize(CENT)
        prices[symbol] = min(max(left, Decimal(10)), Decimal(100_000))
        yield RoundTrip(
            bot_id=bot_ids[place],
            number=turn,
            symbol=symbol,
            is_long=luck.random() < 0.5,
            quantity=luck.randrange(1, 5_000) * STEP,
            entry=(_whole(opened), entry),
            exit=(_whole(opened + span * (0.1 + 0.5 * luck.random())), left),
            purpose=luck.choice(ENDED),
        )


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def store_trades(books: Books, bots: Mapping[str, Bot]) -> Iterator[int]:
    """Store the round trips with their orders, events, fills and positions; yield how many are stored so far."""
    trips, stored = round_trips(books), 0
    while part := list(islice(trips, TRADES_AT_ONCE)):
        tables: dict[str, list[Row]] = {}
        for trip in part:
            for table, row in rows_of(trip, bots[trip.bot_id]):
                tables.setdefault(table, []).append(row)
        with transaction.atomic():
            for table, rows in tables.items():
                _copy(table, rows)
        stored += len(part)
        yield stored


def rows_of(trip: RoundTrip, bot: Bot) -> Iterator[tuple[str, Row]]:
    """Yield every row of one round trip, with its table."""
    sides = (Side.BUY, Side.SELL) if trip.is_long else (Side.SELL, Side.BUY)
    purposes = (OrderPurpose.ENTRY, trip.purpose)
    state, effects = None, []
    for place, (side, (at, price)) in enumerate(zip(sides, (trip.entry, trip.exit), strict=True)):
        fee = price * trip.quantity * FEE_RATE
        execution = Execution(f"f{trip.number}-{place}", at, str(side), price, trip.quantity, fee)
        effect = apply(state, execution)
        state = effect.reduced or effect.entered
        effects.append(effect)
    assert state is not None
    position_id = position_id_of(trip.bot_id, trip.symbol, state.opening_fill_id)
    base: Row = {"bot_id": trip.bot_id, "symbol": trip.symbol, "source": SOURCE}
    for effect, purpose in zip(effects, purposes, strict=True):
        order_id = f"o{effect.execution.fill_id[1:]}"
        yield "orders", base | _order(effect.execution, order_id, purpose, position_id)
        for event in _events(effect.execution, order_id):
            yield "order_events", {"bot_id": trip.bot_id, "source": SOURCE} | event
        yield "fills", base | _fill(effect.execution, order_id, bot) | derived_columns(trip.bot_id, trip.symbol, effect)
    reason = exit_reason_of(trip.purpose, None, is_flip=False)
    origin = Origin(leverage=Decimal(1), strategy=bot.strategy_name, exit_reason=reason, is_paper=True)
    at = state.last_fill_at
    yield (
        "positions",
        base
        | position_values(state, Mark(None, None), at)
        | {
            "position_id": position_id,
            "strategy": origin.strategy,
            "entry_trade_ids": [effects[0].execution.fill_id],
            "exit_trade_ids": [effects[1].execution.fill_id],
            "created_at": state.opened_at,
        },
    )
    yield (
        "trades",
        base
        | trade_values(state, origin, at)
        | {
            "trade_id": trade_id_of(position_id),
            "position_id": position_id,
            "strategy": origin.strategy,
            "is_paper_trade": origin.is_paper,
            "created_at": state.opened_at,
        },
    )


def _order(execution: Execution, order_id: str, purpose: OrderPurpose, position_id: str) -> Row:
    at = execution.executed_at
    return {
        "order_id": order_id,
        "order_type": "market",
        "side": execution.side,
        "quantity": execution.quantity,
        "filled_quantity": execution.quantity,
        "filled_notional": execution.price * execution.quantity,
        "avg_fill_price": execution.price,
        "fees": execution.fee,
        "status": OrderStatus.FILLED,
        "reported_status": OrderStatus.SUBMITTED,
        "reported_at": at,
        "order_purpose": purpose,
        "is_paper_trade": True,
        "position_id": position_id,
        "trade_id": trade_id_of(position_id),
        "created_at": at,
        "submitted_at": at,
        "filled_at": at,
        "updated_at": at,
        "received_at": at,
    }


def _events(execution: Execution, order_id: str) -> Iterable[Row]:
    told: Row = {"order_id": order_id, "at": execution.executed_at, "received_at": execution.executed_at}
    yield told | {"from_status": None, "to_status": OrderStatus.SUBMITTED, "fill_id": None}
    yield told | {
        "from_status": OrderStatus.SUBMITTED, "to_status": OrderStatus.FILLED, "fill_id": execution.fill_id
    }  # fmt: skip


def _fill(execution: Execution, order_id: str, bot: Bot) -> Row:
    return {
        "fill_id": execution.fill_id,
        "account_id": bot.account_id,
        "order_id": order_id,
        "side": execution.side,
        "price": execution.price,
        "quantity": execution.quantity,
        "fee": execution.fee,
        "fee_currency": bot.currency,
        "fee_rate": Decimal(1),
        "fee_quote": execution.fee,
        "executed_at": execution.executed_at,
        "received_at": execution.executed_at,
    }


def _copy(table: str, rows: list[Row]) -> None:
    """Copy rows of one shape into a table; columns that they leave out take their default."""
    quote = connection.ops.quote_name
    columns = list(rows[0])
    with connection.cursor() as cursor:
        into = f"COPY {quote(table)} ({', '.join(map(quote, columns))}) FROM STDIN"
        with cursor.copy(into) as copy:
            for row in rows:
                assert row.keys() == rows[0].keys(), table
                copy.write_row(list(row.values()))


def store_candles(books: Books) -> Iterator[int]:
    """Store one-minute candles of every symbol, the last ones at the end; yield how many are stored so far."""
    share, rest = divmod(books.candles, len(SYMBOLS))
    last = books.end.astimezone(UTC).replace(second=0, microsecond=0)
    counts = {symbol: share + (place < rest) for place, symbol in enumerate(SYMBOLS)}
    _make_partitions(last - timedelta(minutes=max(counts.values())), last)
    stored = 0
    for symbol, count in counts.items():
        lines = _candle_lines(symbol, last, count, books.seed)
        while part := list(islice(lines, CANDLES_AT_ONCE)):
            text = "timestamp,open,high,low,close,volume\n" + "\n".join(part)
            rows = rows_from_csv(text.encode(), books.end)
            outcome = candles_ingest(series=Series(EXCHANGE, symbol, "1m"), rows=rows, source=SOURCE)
            assert outcome["rejected"] == 0, outcome["errors"]
            stored += outcome["received"]
            yield stored


def _make_partitions(first: datetime, last: datetime) -> None:
    month = first.replace(day=1)
    while month <= last:
        ensure_partitions(month)
        month = (month + timedelta(days=32)).replace(day=1)


def _candle_lines(symbol: str, last: datetime, count: int, seed: int) -> Iterator[str]:
    """Yield a series of candles as CSV, prices in whole cents on a random walk."""
    luck = random.Random(f"{seed} {symbol}")  # noqa: S311 (made-up prices, no secret)  # nosec B311
    close = 100_00 * (SYMBOLS.index(symbol) + 1)
    for number in range(count, 0, -1):
        first = close
        close = max(first + luck.randrange(-first // 500, first // 500 + 1), 1_00)
        high = max(first, close) + luck.randrange(20)
        low = min(first, close) - luck.randrange(20)
        at = (last - timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        prices = ",".join(f"{cents // 100}.{cents % 100:02}" for cents in (first, high, low, close))
        yield f"{at},{prices},{luck.randrange(1, 100_000) / 1000:.3f}"


def refresh_statistics() -> None:
    """Let PostgreSQL count what was copied, so that its plans are those of a table that grew over months."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE market_data, orders, order_events, fills, positions, trades")
