"""What each bot's books say at a moment: balance, realised and unrealised P&L, exposure, and results since a date.

Two readers give the same figures: `books_now` from open positions as last marked, `books_at` from fills and
balances as they were at past moments, when no marks are kept. Money is exact and in the bot's own currency; what is
quoted in another currency is left out and named.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from analytics.metrics.borders import EXACT, total
from analytics.selectors.grid import EPOCH, SLOT, ZERO, Balance, Holding, Steps, balances_read, holdings_read
from analytics.selectors.history import EXTERNAL_FLOWS, BotRow
from analytics.selectors.sql import fetch
from bots.ledger.symbols import split_symbol

# Trades hold what is realised: of open ones so far, and of those that bots report whole, which have no fills.
NET_NOW = """
    SELECT bot_id, symbol, sum(pnl_usd) FROM trades
    WHERE bot_id = ANY(%(bots)s) AND (origin = 'fills' OR exit_time IS NOT NULL) GROUP BY 1, 2
"""
OPEN_NOW = """
    SELECT bot_id, symbol, unrealized_pnl, coalesce(size * current_price, cost_basis)
    FROM positions WHERE status IN ('open', 'partially_closed') AND bot_id = ANY(%(bots)s)
"""
REPORTED = """
    SELECT bot_id, symbol, slot, sum(pnl_usd) FROM (
        SELECT bot_id, symbol, pnl_usd,
            greatest(%(first)s, date_bin(%(step)s, exit_time - interval '1 microsecond', %(epoch)s) + %(step)s) AS slot
        FROM trades WHERE bot_id = ANY(%(bots)s) AND origin = 'reported' AND exit_time <= %(last)s
    ) t
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
FLOWS = """
    SELECT bot_id, currency, kind, occurred_at, amount FROM cash_flows
    WHERE bot_id = ANY(%(bots)s) AND kind <> 'initial' AND occurred_at <= %(last)s ORDER BY bot_id, occurred_at
"""
EQUITY_BEFORE = """
    SELECT b.bot_id, s.start, a.equity
    FROM unnest(%(bots)s::text[]) AS b(bot_id) CROSS JOIN unnest(%(starts)s::timestamptz[]) AS s(start)
    CROSS JOIN LATERAL (
        SELECT equity FROM account_balance WHERE bot_id = b.bot_id AND "timestamp" < s.start
        ORDER BY "timestamp" DESC, balance_id DESC LIMIT 1
    ) a
"""
NET_BEFORE = """
    SELECT b.bot_id, b.start, n.symbol, sum(n.net)
    FROM unnest(%(bots)s::text[], %(starts)s::timestamptz[]) AS b(bot_id, start)
    CROSS JOIN LATERAL (
        SELECT symbol, realized_pnl - fee_quote AS net FROM fills WHERE bot_id = b.bot_id AND executed_at < b.start
        UNION ALL
        SELECT symbol, pnl_usd FROM trades
        WHERE bot_id = b.bot_id AND origin = 'reported' AND exit_time < b.start
    ) n
    GROUP BY 1, 2, 3
"""


@dataclass(slots=True)
class Book:
    """One bot at one moment. `total` is without unrealised P&L, `realized` net of fees, since the beginning."""

    total: Decimal
    margin_used: Decimal
    realized: Decimal
    unrealized: Decimal
    exposure: Decimal
    open_positions: int
    left_out: list[str] = field(default_factory=list)

    @property
    def equity(self) -> Decimal:
        return EXACT.add(self.total, self.unrealized)


class Held(NamedTuple):
    """What one symbol did for a bot: realised P&L net of fees, and the open position, None when flat."""

    realized: Decimal
    position: "Open | None" = None


class Open(NamedTuple):
    """An open position at a price: gross unrealised P&L, and |size x price|."""

    unrealized: Decimal
    exposure: Decimal


class Flows:
    """Cash flows of bots after the initial one, summed up to any moment."""

    def __init__(self, bots: Sequence[BotRow], last: datetime) -> None:
        self.every: dict[str, Steps[Decimal]] = defaultdict(Steps)
        self.external: dict[str, Steps[Decimal]] = defaultdict(Steps)
        currency_of = {bot.bot_id: bot.currency for bot in bots}
        for bot_id, currency, kind, at, amount in fetch(FLOWS, bots=list(currency_of), last=last):
            if currency != currency_of[bot_id]:
                continue
            for steps in (self.every, self.external) if kind in EXTERNAL_FLOWS else (self.every,):
                before = steps[bot_id].values[-1] if steps[bot_id].values else ZERO
                steps[bot_id].add(at, EXACT.add(before, amount))

    def all_until(self, bot_id: str, moment: datetime) -> Decimal:
        """Return the sum of all flows up to and with a moment."""
        return self.every[bot_id].at(moment) or ZERO

    def external_between(self, bot_id: str, start: datetime, moment: datetime) -> Decimal:
        """Return what came from outside since the start, up to and with a moment."""
        steps = self.external[bot_id]
        return EXACT.subtract(steps.at(moment) or ZERO, steps.at(just_before(start)) or ZERO)


def just_before(moment: datetime) -> datetime:
    """Return the last moment before this one."""
    return moment - timedelta(microseconds=1)


def period_starts(moment: datetime) -> tuple[datetime, datetime, datetime]:
    """Return when the UTC day, the week (Monday) and the month of a moment began."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day, day - timedelta(days=day.weekday()), day.replace(day=1)


def books_now(bots: Sequence[BotRow], *, at: datetime, flows: Flows) -> dict[str, Book]:
    """Return the books of bots as they are: open positions as last marked, at cost before the first mark."""
    bot_ids = [bot.bot_id for bot in bots]
    held: dict[str, dict[str, Held]] = defaultdict(dict)
    for bot_id, symbol, net in fetch(NET_NOW, bots=bot_ids):
        held[bot_id][symbol] = Held(net)
    for bot_id, symbol, unrealized, exposure in fetch(OPEN_NOW, bots=bot_ids):
        known = held[bot_id].get(symbol, Held(ZERO))
        held[bot_id][symbol] = known._replace(position=Open(unrealized, exposure))
    balances = balances_read(bot_ids, first=at, last=at)
    return {
        bot.bot_id: _book(bot, held[bot.bot_id], _value(balances, bot, at), flows.all_until(bot.bot_id, at))
        for bot in bots
    }


def books_at(bots: Sequence[BotRow], *, slots: Sequence[datetime], flows: Flows) -> dict[datetime, dict[str, Book]]:
    """Return the books of bots at past slots, in ascending order; positions at the price of the bot's last fill.

    A bot that reported a balance by then is worth what it said: its own unrealised P&L knows the market better.
    """
    bot_ids = [bot.bot_id for bot in bots]
    span = {"first": slots[0], "last": slots[-1]}
    holdings = holdings_read(bot_ids, **span)
    reported: dict[str, dict[str, Steps[Decimal]]] = defaultdict(lambda: defaultdict(Steps))
    for bot_id, symbol, slot, net in fetch(REPORTED, bots=bot_ids, step=SLOT, epoch=EPOCH, **span):
        steps = reported[bot_id][symbol]
        steps.add(slot, EXACT.add(steps.values[-1] if steps.values else ZERO, net))
    balances = balances_read(bot_ids, **span)
    books: dict[datetime, dict[str, Book]] = {}
    for slot in slots:
        books[slot] = {}
        for bot in bots:
            held = _held_at(slot, holdings.get(bot.bot_id, {}), reported[bot.bot_id])
            balance = _value(balances, bot, slot)
            book = _book(bot, held, balance, flows.all_until(bot.bot_id, slot))
            if balance is not None:
                book.unrealized = EXACT.subtract(balance.equity, balance.total)
            books[slot][bot.bot_id] = book
    return books


def baselines(
    bots: Sequence[BotRow], *, starts: Iterable[datetime], flows: Flows
) -> dict[tuple[str, datetime], Decimal]:
    """Return each bot's equity just before each start.

    It is the last one the bot reported; before its first balance, its capital, flows and realised P&L until then.
    """
    found = {
        (bot_id, start): equity
        for bot_id, start, equity in fetch(EQUITY_BEFORE, bots=[bot.bot_id for bot in bots], starts=sorted(set(starts)))
    }
    silent = [(bot, start) for bot in bots for start in sorted(set(starts)) if (bot.bot_id, start) not in found]
    net: dict[tuple[str, datetime], Decimal] = defaultdict(Decimal)
    traded = [(bot.bot_id, start) for bot, start in silent if bot.first_at is not None and bot.first_at < start]
    currency_of = {bot.bot_id: bot.currency for bot in bots}
    if traded:
        bot_ids, before = zip(*traded, strict=True)
        for bot_id, start, symbol, amount in fetch(NET_BEFORE, bots=list(bot_ids), starts=list(before)):
            if split_symbol(symbol, currency_of[bot_id])[1] == currency_of[bot_id]:
                net[bot_id, start] = EXACT.add(net[bot_id, start], amount)
    for bot, start in silent:
        paid_in = flows.all_until(bot.bot_id, just_before(start))
        found[bot.bot_id, start] = total((bot.starting_capital, paid_in, net[bot.bot_id, start]))
    return found


def _held_at(
    slot: datetime, holdings: Mapping[str, Steps[Holding]], reported: Mapping[str, Steps[Decimal]]
) -> dict[str, Held]:
    held: dict[str, Held] = {}
    for symbol, steps in holdings.items():
        if (holding := steps.at(slot)) is not None:
            is_open = holding.size != 0
            held[symbol] = Held(holding.realized, Open(holding.unrealized, holding.worth) if is_open else None)
    for symbol, nets in reported.items():
        known = held.get(symbol, Held(ZERO))
        held[symbol] = known._replace(realized=EXACT.add(known.realized, nets.at(slot) or ZERO))
    return held


def _value(balances: Mapping[str, Steps[Balance]], bot: BotRow, moment: datetime) -> Balance | None:
    steps = balances.get(bot.bot_id)
    return steps.at(moment) if steps is not None else None


def _book(bot: BotRow, held: Mapping[str, Held], balance: Balance | None, flows: Decimal) -> Book:
    like = {symbol for symbol in held if split_symbol(symbol, bot.currency)[1] == bot.currency}
    positions = [position for symbol in like if (position := held[symbol].position) is not None]
    realized = total(held[symbol].realized for symbol in like)
    return Book(
        total=total((bot.starting_capital, flows, realized)) if balance is None else balance.total,
        margin_used=ZERO if balance is None else balance.margin_used,
        realized=realized,
        unrealized=total(position.unrealized for position in positions),
        exposure=total(position.exposure for position in positions),
        open_positions=len(positions),
        left_out=sorted(symbol for symbol in held if symbol not in like),
    )
