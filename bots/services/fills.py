"""Fills: the one way facts about executions enter the ledger."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from bots.choices import CaseKind, FactKind, OrderStatus
from bots.errors import DuplicateExecution
from bots.ledger.content import content_hash
from bots.ledger.facts import NewFill
from bots.ledger.fold import (
    EXACT,
    Effect,
    Execution,
    PositionState,
    apply,
    quotient,
)
from bots.ledger.shapes import FILL, ORDER, POSITION, shape, trade_shape
from bots.ledger.sound import broken_by_fill, broken_by_order
from bots.ledger.symbols import split_symbol
from bots.live.publish import LiveUpdate
from bots.services import ledger_store as store
from bots.services.breaches import breach
from bots.services.conflicts import conflict
from bots.services.context import BotContext, run_for
from bots.services.fill_orders import order_news, order_update, order_values, signal_executed
from bots.services.locks import lock_order, lock_symbol_of_order
from bots.services.plan import Last, Outcome, Plan, Row, Sql, TryAgain, insert
from bots.services.refold import refold
from bots.services.unsound import unsound_mark

ENDED = (OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.FAILED, OrderStatus.DEACTIVATED)
FILL_ROW = "SELECT * FROM fills WHERE bot_id = %(bot)s AND fill_id = %(id)s"
AFTER = """
    SELECT o.*, f.position_id AS touched, f.opened_position_id AS opened
    FROM fills f JOIN orders o ON o.bot_id = f.bot_id AND o.order_id = f.order_id
    WHERE f.bot_id = %(bot)s AND f.fill_id = %(id)s
"""
POSITION_ROW = "SELECT * FROM positions WHERE bot_id = %(bot)s AND position_id = %(id)s"
TRADE_ROW = "SELECT * FROM trades WHERE bot_id = %(bot)s AND position_id = %(id)s"
# The last candle at or before the fill says what the fee's currency was worth.
RATE = """
    SELECT close_price FROM market_data WHERE symbol = %(symbol)s AND "timestamp" <= %(at)s
    ORDER BY "timestamp" DESC LIMIT 1
"""


def record_fill(bot: BotContext, fill: NewFill) -> Plan[Outcome]:
    """Store one execution with all its effects on order, position and trade; park it when its order is unknown.

    The same fill again changes nothing; other content under its id is kept as a conflict.
    """
    now = timezone.now()
    digest = content_hash(fill.body)
    load = Sql(store.LOAD, load_keys(bot, fill))
    _, (row,) = yield [lock_symbol_of_order(bot.bot_id, fill.order_id), load]
    seen = yield from seen_before(bot, fill, digest, row)
    if seen is not None:
        return seen
    if row["order_id"] is None:
        _, (row,) = yield [lock_order(bot.bot_id, fill.order_id), load]
        if row["order_id"] is not None or row["parked_id"] is not None:
            # The order, or this very fill, arrived while we waited.
            raise TryAgain
        yield [park(bot, FactKind.FILL, fill.fill_id, fill.order_id, body=fill.body, digest=digest, source=fill.source)]
        return Outcome(202, parked_body(fill))
    return (yield from apply_fill(bot, fill, row, digest=digest, now=now))


def load_keys(bot: BotContext, fill: NewFill) -> dict[str, Any]:
    """Return what LOAD is asked with for a fill."""
    return {
        "bot": bot.bot_id,
        "order": fill.order_id,
        "fill": fill.fill_id,
        "account": bot.account_id,
        "execution": fill.exchange_trade_id,
        "exchange": bot.exchange,
    }


def parked_body(fill: NewFill) -> dict[str, Any]:
    """What the bot hears of a parked fill."""
    return {"state": "parked", "fill_id": fill.fill_id, "order_id": fill.order_id}


def park(bot: BotContext, kind: FactKind, fact_id: str, order_id: str, *, body: Any, digest: bytes, source: str) -> Sql:
    """Keep a fact on disk until its order comes."""
    values = {"bot_id": bot.bot_id, "kind": kind, "fact_id": fact_id, "order_id": order_id, "body": body}
    return insert("parked_facts", values | {"content_hash": digest, "source": source}, suffix="")


def seen_before(bot: BotContext, fill: NewFill, digest: bytes, row: Row) -> Plan[Outcome | None]:
    """Return the answer when the fill was seen before, None when it is new."""
    if row["seen_id"] is not None:
        if row["seen_hash"] is not None and bytes(row["seen_hash"]) == digest:
            return (yield from stored_fill(bot, fill.fill_id, replayed=True))
        ((stored,),) = yield [Sql(FILL_ROW, {"bot": bot.bot_id, "id": fill.fill_id})]
        return (yield from conflict(bot, FactKind.FILL, fill.fill_id, stored=shape(stored, FILL), received=fill.body))
    if row["parked_id"] is not None:
        if bytes(row["parked_hash"]) == digest:
            return Outcome(200, parked_body(fill), replayed=True)
        return (yield from conflict(bot, FactKind.FILL, fill.fill_id, stored=row["parked_body"], received=fill.body))
    if row["execution_fill_id"] is not None:
        return (yield from _twin(bot, fill, row))
    return None


def _twin(bot: BotContext, fill: NewFill, row: Row) -> Plan[Outcome]:
    """Keep a fill whose execution the account has under another id; of another bot's fill, no bot hears the name."""
    known_as = row["execution_fill_id"]
    stored: dict[str, Any] = {"symbol": row["symbol"], "exchange_trade_id": fill.exchange_trade_id}
    if known_as:
        ((other,),) = yield [Sql(FILL_ROW, {"bot": bot.bot_id, "id": known_as})]
        stored = shape(other, FILL)
    where = f"as fill {known_as}" if known_as else "for this account"
    error = DuplicateExecution(f"Execution {fill.exchange_trade_id} is already stored {where}.", id=fill.fill_id)
    return (yield from conflict(bot, FactKind.FILL, fill.fill_id, stored=stored, received=fill.body, error=error))


def stored_fill(bot: BotContext, fill_id: str, *, replayed: bool) -> Plan[Outcome]:
    """Answer with a fill that is in the ledger, and what its order, position and trade are now."""
    key = {"bot": bot.bot_id, "id": fill_id}
    ((fill,), (order,)) = yield [Sql(FILL_ROW, key), Sql(AFTER, key)]
    position_key = {"bot": bot.bot_id, "id": order["opened"] or order["touched"]}
    positions, trades = yield [Sql(POSITION_ROW, position_key), Sql(TRADE_ROW, position_key)]
    body = {
        "fill": shape(fill, FILL),
        "order": shape(order, ORDER),
        "position": shape(positions[0], POSITION) if positions else None,
        "trade": trade_shape(trades[0]) if trades else None,
        "flags": list(fill["flags"]),
    }
    return Outcome(200, body, replayed=replayed)


def apply_fill(bot: BotContext, fill: NewFill, row: Row, *, digest: bytes, now: datetime) -> Plan[Outcome]:
    """Insert the fill and fold it, the order being known and the symbol locked."""
    symbol = row["symbol"]
    rate = yield from _fee_rate(bot, fill, symbol)
    fee = EXACT.multiply(fill.fee, rate) if fill.fee is not None and rate is not None else Decimal(0)
    execution = Execution(fill.fill_id, fill.executed_at, row["side"], fill.price, fill.quantity, fee)
    flags = flags_of(fill, row, rate)
    newest = row["newest_at"] is None or execution.key > (row["newest_at"], row["newest_id"])
    state = store.position_from(row)
    effects = [apply(state, execution)] if newest else []
    derived = store.derived_columns(bot.bot_id, symbol, effects[0]) if newest else {}
    broken = broken_by(row, state, effects)
    flags += ["unsound"] if broken else []
    order = order_values(bot, fill, row, fee=fee, flags=flags, now=now, effect=effects[0] if newest else None)
    stored = fill_values(bot, fill, row, digest) | derived | {"fee_rate": rate, "fee_quote": fee, "flags": flags}
    statements = [insert("fills", stored), order_update(bot, fill.order_id, order)]
    news = [*order_news(bot, fill, row, order["status"]), *signal_executed(bot, fill, row)]
    gone: list[Row] = []
    if newest:
        writes = [*statements, *_write_newest(bot, row, effects[0], now), *news]
        rows = yield writes if flags else Last(writes)
    else:
        rows = yield [*statements, *news]
        refolded = yield from refold(bot, symbol, since=execution.key, now=now)
        rows += refolded.rows
        gone = refolded.gone
    body, updates = _answer(bot, symbol, rows, flags)
    updates = [_gone(bot, symbol, row) for row in gone] + updates
    for flag in flags:
        updates += yield from _breach(bot, fill, row, flag, now)
    if broken:
        updates += yield from unsound_mark(bot, symbol=symbol, fill_id=fill.fill_id, broken=broken, now=now)
    if not newest:
        # The fill's own row was derived after it was inserted.
        body = (yield from stored_fill(bot, fill.fill_id, replayed=False)).body
    return Outcome(201, body, updates=tuple(updates))


def fill_values(bot: BotContext, fill: NewFill, row: Row, digest: bytes) -> dict[str, Any]:
    """Return what was told of a fill, and of whom, as columns."""
    return {
        "bot_id": bot.bot_id,
        "account_id": bot.account_id,
        "fill_id": fill.fill_id,
        "order_id": fill.order_id,
        "symbol": row["symbol"],
        "side": row["side"],
        "price": fill.price,
        "quantity": fill.quantity,
        "fee": fill.fee,
        "fee_currency": fill.fee_currency,
        "liquidity": fill.liquidity,
        "exchange_trade_id": fill.exchange_trade_id,
        "executed_at": fill.executed_at,
        "source": fill.source,
        "config_version": bot.config_version,
        "content_hash": digest,
    }


def flags_of(fill: NewFill, row: Row, rate: Decimal | None) -> list[str]:
    """Return what is wrong with a fill that is stored all the same."""
    flags = []
    if EXACT.add(row["filled_quantity"], fill.quantity) > row["quantity"]:
        flags.append("overfill")
    ended = row["reported_status"] in ENDED
    if ended and (row["reported_status"] == OrderStatus.REJECTED or _after(fill.executed_at, row["reported_at"])):
        flags.append("after_order_ended")
    if row["halted_at"] is not None and fill.executed_at >= row["halted_at"]:
        # An order from before may rest at the exchange; one from after it leaves a risk event of its own.
        flags.append("after_halt")
    if fill.fee and rate is None:
        flags.append("fee_not_converted")
    return flags


def broken_by(row: Row, state: PositionState | None, effects: list[Effect]) -> list[str]:
    """Return the invariants that the rows break with which, or into which, the fill is written (docs/adr/0009)."""
    broken = broken_by_order(
        status=row["status"], reported=row["reported_status"], filled=row["filled_quantity"],
        notional=row["filled_notional"], quantity=row["quantity"],
    )  # fmt: skip
    newest = None if row["newest_at"] is None else (row["newest_at"], row["newest_id"])
    for effect in effects:
        broken += broken_by_fill(state, effect, newest)
    return broken


def _after(moment: datetime, other: datetime | None) -> bool:
    return other is not None and moment > other


def own_fee_rate(bot: BotContext, fill: NewFill, symbol: str) -> Decimal | None:
    """Return the rate of a fee that the fill itself can tell; None of one in a third currency."""
    base, quote = split_symbol(symbol, bot.currency)
    if fill.fee is None or fill.fee_currency is None or fill.fee_currency == quote:
        return Decimal(1)
    return fill.price if fill.fee_currency == base else None


def _fee_rate(bot: BotContext, fill: NewFill, symbol: str) -> Plan[Decimal | None]:
    """Return the price of the fee's currency in the quote currency; None where it is not known."""
    own = own_fee_rate(bot, fill, symbol)
    if own is not None:
        return own
    _, quote = split_symbol(symbol, bot.currency)
    at = fill.executed_at
    direct, inverse = yield [
        Sql(RATE, {"symbol": f"{fill.fee_currency}{quote}", "at": at}),
        Sql(RATE, {"symbol": f"{quote}{fill.fee_currency}", "at": at}),
    ]
    if direct:
        price: Decimal = direct[0]["close_price"]
        return price
    return quotient(Decimal(1), inverse[0]["close_price"]) if inverse else None


def _write_newest(bot: BotContext, row: Row, effect: Effect, now: datetime) -> list[Sql]:
    """Return the statements for a fill that is the newest of its (bot, symbol): one position, or two at a flip."""
    statements: list[Sql] = []
    mark = store.Mark(row["current_price"], row["marked_at"])
    stored_id = row["position_id"]
    origin = origin_of(bot, row, effect)
    if effect.reduced is not None:
        statements += store.write_position(
            bot, row["symbol"], effect.reduced, origin=origin, mark=mark, stored_id=stored_id, now=now
        )
        stored_id = None
    if effect.entered is not None:
        statements += store.write_position(
            bot, row["symbol"], effect.entered, origin=origin, mark=mark, stored_id=stored_id, now=now
        )
    return statements


def origin_of(bot: BotContext, row: Row, effect: Effect) -> store.Origin:
    """Return what the positions that a fill touched take from its order."""
    is_flip = effect.reduced is not None and effect.entered is not None
    reason = store.exit_reason_of(row["order_purpose"], row["order_metadata"], is_flip=is_flip)
    return store.Origin(row["leverage"] or Decimal(1), row["strategy"] or bot.strategy, reason, row["is_paper_trade"])


def _answer(
    bot: BotContext, symbol: str, rows: list[list[Row]], flags: list[str]
) -> tuple[dict[str, Any], list[LiveUpdate]]:
    """Shape the rows that the statements returned into the answer and the live updates."""
    fill, order = shape(rows[0][0], FILL), shape(rows[1][0], ORDER)
    positions, trades = positions_and_trades(rows[2:])
    body: dict[str, Any] = {
        "fill": fill,
        "order": order,
        "position": positions[-1] if positions else None,
        "trade": trades[-1] if trades else None,
        "flags": flags,
    }
    return body, told_live(bot, symbol, fills=[fill], order=order, positions=positions, trades=trades)


def positions_and_trades(rows: list[list[Row]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the shapes of the positions and trades among the rows that statements returned."""
    written = [returned[0] for returned in rows if returned]
    positions = [shape(row, POSITION) for row in written if "cost_basis" in row]
    return positions, [trade_shape(row) for row in written if "pnl_usd" in row]


Shapes = list[dict[str, Any]]


def told_live(
    bot: BotContext, symbol: str, *, fills: Shapes, order: dict[str, Any], positions: Shapes, trades: Shapes
) -> list[LiveUpdate]:
    """Return what the live layer hears of fills of one order."""

    def note(kind: Any, data: dict[str, Any]) -> LiveUpdate:
        return LiveUpdate(kind=kind, bot_id=bot.bot_id, symbol=symbol, data=data)

    updates = [note("position", position) for position in positions]
    updates += [note("order", order), *(note("fill", fill) for fill in fills)]
    updates += [note("trade", trade) for trade in trades if trade["exit_time"] is not None]
    return updates


def _gone(bot: BotContext, symbol: str, row: Row) -> LiveUpdate:
    """Tell the live layer of a position that the fills no longer support under this id."""
    data = {"position_id": row["position_id"], "symbol": symbol, "status": "closed", "version": row["version"]}
    return LiveUpdate(kind="position", bot_id=bot.bot_id, symbol=symbol, data=data)


def _breach(bot: BotContext, fill: NewFill, row: Row, flag: str, now: datetime) -> Plan[list[LiveUpdate]]:
    """Open the case that belongs to a flag."""
    if flag == "overfill":
        kind, current, limit = CaseKind.OVERFILL, EXACT.add(row["filled_quantity"], fill.quantity), row["quantity"]
    elif flag == "after_order_ended":
        kind, current, limit = CaseKind.FILL_AFTER_TERMINAL, fill.quantity, Decimal(0)
    else:
        return []
    return (
        yield from breach(
            bot, kind, symbol=row["symbol"], subject_id=fill.order_id, current=current, limit=limit, now=now
        )
    )


def order_add_fill(*, bot_id: str, fill: NewFill) -> Outcome:
    """Record one fill of a bot and return fill, order, position and trade after it; a repeat changes nothing.

    Raises NotFound for an unknown bot, Conflict when the id stands for other content.
    """
    return run_for(bot_id, lambda bot: record_fill(bot, fill))
