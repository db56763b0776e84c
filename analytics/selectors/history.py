"""What the figures of bots are computed from: their accounts, cash flows and closed trades, for many bots at once.

A fixed number of queries, whatever the number of bots and days.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import NamedTuple

from analytics.metrics.borders import EXACT, to_money, total, utc_day
from analytics.metrics.exposure import ExposureSample
from analytics.metrics.returns import ONE_DAY
from analytics.metrics.trades import ClosedTrade
from analytics.selectors.grid import (
    Balance,
    Holding,
    Steps,
    balances_read,
    holdings_read,
    slots_between,
)
from analytics.selectors.rates import RateKey, rates_at
from analytics.selectors.sql import fetch
from bots.choices import CashFlowKind
from bots.ledger.symbols import split_symbol

# What came from or went to outside. Funding is paid for holding a position: it is a result, like a fee.
EXTERNAL_FLOWS = (CashFlowKind.DEPOSIT, CashFlowKind.WITHDRAWAL, CashFlowKind.ADJUSTMENT)
NOTHING = (Decimal(0), 0)

BOTS = """
    SELECT b.bot_id, b.currency, b.status, b.deployment_mode, coalesce(i.amount, b.initial_capital), b.created_at,
        least(
            (SELECT "timestamp" FROM account_balance WHERE bot_id = b.bot_id ORDER BY "timestamp" LIMIT 1),
            (SELECT executed_at FROM fills WHERE bot_id = b.bot_id ORDER BY executed_at LIMIT 1),
            (SELECT entry_time FROM trades WHERE bot_id = b.bot_id ORDER BY entry_time LIMIT 1),
            (SELECT occurred_at FROM cash_flows WHERE bot_id = b.bot_id AND kind <> 'initial'
                ORDER BY occurred_at LIMIT 1)
        )
    FROM bots b LEFT JOIN cash_flows i ON i.bot_id = b.bot_id AND i.kind = 'initial'
    WHERE %(bots)s::text[] IS NULL OR b.bot_id = ANY(%(bots)s)
    ORDER BY b.bot_id
"""
# One index probe a day: reading every balance of a year to keep 365 of them would not end in time.
EQUITY = """
    SELECT s.bot_id, d.day::date, a.equity
    FROM unnest(%(bots)s::text[], %(first_days)s::date[]) AS s(bot_id, first_day)
    CROSS JOIN LATERAL generate_series(s.first_day::timestamp, %(last_day)s::timestamp, interval '1 day') AS d(day)
    CROSS JOIN LATERAL (
        SELECT equity FROM account_balance
        WHERE bot_id = s.bot_id AND "timestamp" >= d.day AT TIME ZONE 'UTC'
            AND "timestamp" < least((d.day + interval '1 day') AT TIME ZONE 'UTC', %(before)s::timestamptz)
        ORDER BY "timestamp" DESC, balance_id DESC LIMIT 1
    ) a
"""
FLOWS = """
    SELECT bot_id, currency, (occurred_at AT TIME ZONE 'UTC')::date, sum(amount) FROM cash_flows
    WHERE bot_id = ANY(%(bots)s) AND kind = ANY(%(kinds)s) AND occurred_at < %(before)s
    GROUP BY 1, 2, 3
"""
TRADES = """
    SELECT bot_id, trade_id, symbol, entry_time, exit_time, pnl_usd FROM trades
    WHERE bot_id = ANY(%(bots)s) AND exit_time < %(before)s ORDER BY bot_id, exit_time, trade_id
"""


class BotRow(NamedTuple):
    """One bot as its figures need it; `first_at` is its first fact but the initial cash flow, None without one."""

    bot_id: str
    currency: str
    status: str
    deployment_mode: str
    starting_capital: Decimal
    created_at: datetime
    first_at: datetime | None

    @property
    def first_day(self) -> date | None:
        return self.first_at and utc_day(self.first_at)


@dataclass(slots=True)
class BotHistory:
    """One bot's facts as the metrics take them, in its own currency.

    unlike_since: the first UTC day with a trade or flow in another currency whose rate is not known; it is left out.
    unlike_days: sample days on which something was held that is quoted in another currency; it is left out too.
    """

    bot: BotRow
    equity: dict[date, Decimal] = field(default_factory=dict)
    flows: dict[date, Decimal] = field(default_factory=dict)
    trades: list[ClosedTrade] = field(default_factory=list)
    samples: dict[date, list[ExposureSample]] = field(default_factory=dict)
    unlike_since: date | None = None
    unlike_days: set[date] = field(default_factory=set)

    def leave_out(self, day: date) -> None:
        """Remember that a fact of this day is missing from the figures of this day and all later ones."""
        self.unlike_since = min(day, self.unlike_since or day)

    def is_whole(self, day: date) -> bool:
        """Whether nothing had to be left out of the figures of a day."""
        return day not in self.unlike_days and (self.unlike_since is None or day < self.unlike_since)


def midnight(day: date) -> datetime:
    """Return the first moment of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def bots_read(bot_ids: Sequence[str] | None = None) -> list[BotRow]:
    """Return the bots named, or all of them, by bot_id; one query."""
    return [BotRow(*row) for row in fetch(BOTS, bots=None if bot_ids is None else list(bot_ids))]


def histories_read(bots: Sequence[BotRow], *, last_day: date, before: datetime | None = None) -> dict[str, BotHistory]:
    """Return the histories of bots that have a first fact, from it to the end of the last day, without samples.

    before: facts from this moment on do not count either.
    """
    end = min(before or midnight(last_day + ONE_DAY), midnight(last_day + ONE_DAY))
    histories = {bot.bot_id: BotHistory(bot) for bot in bots if bot.first_at is not None}
    _read_equity(histories, last_day=last_day, before=end)
    _read_flows(histories, before=end)
    _read_trades(histories, before=end)
    return histories


def samples_read(
    histories: Mapping[str, BotHistory], *, first_day: date, last_day: date, before: datetime | None = None
) -> None:
    """Fill in the exposure samples of these days, in place of those that are there: years of them fill the memory."""
    first = midnight(first_day)
    end = min(before or midnight(last_day + ONE_DAY), midnight(last_day + ONE_DAY))
    slots = slots_between(first, end - timedelta(microseconds=1))
    holdings = holdings_read(list(histories), first=first, last=slots[-1])
    balances = balances_read(list(histories), first=first, last=slots[-1])
    for bot_id, history in histories.items():
        like: dict[str, Steps[Holding]] = {}
        unlike: dict[str, Steps[Holding]] = {}
        for symbol, steps in holdings.get(bot_id, {}).items():
            quote = split_symbol(symbol, history.bot.currency)[1]
            (like if quote == history.bot.currency else unlike)[symbol] = steps
        history.samples = _samples(history.bot, slots, _exposures(like), balances.get(bot_id, Steps()))
        elsewhere = _exposures(unlike)
        history.unlike_days = {slot.date() for slot in slots if (elsewhere.at(slot) or NOTHING)[1]}


def _read_equity(histories: Mapping[str, BotHistory], *, last_day: date, before: datetime) -> None:
    first_days = [history.bot.first_day for history in histories.values()]
    rows = fetch(EQUITY, bots=list(histories), first_days=first_days, last_day=last_day, before=before)
    for bot_id, day, equity in rows:
        histories[bot_id].equity[day] = equity


def _read_flows(histories: Mapping[str, BotHistory], *, before: datetime) -> None:
    kinds = [str(kind) for kind in EXTERNAL_FLOWS]
    for bot_id, currency, day, amount in fetch(FLOWS, bots=list(histories), kinds=kinds, before=before):
        history = histories[bot_id]
        if currency == history.bot.currency:
            history.flows[day] = amount
        else:
            history.leave_out(day)


def _read_trades(histories: Mapping[str, BotHistory], *, before: datetime) -> None:
    """Read closed trades; one whose quote currency is not the bot's is converted at its exit, or left out."""
    rows = fetch(TRADES, bots=list(histories), before=before)
    currency_of = {bot_id: history.bot.currency for bot_id, history in histories.items()}
    keys = [
        RateKey(split_symbol(symbol, currency_of[bot_id])[1], currency_of[bot_id], exit_time)
        for bot_id, _, symbol, _, exit_time, _ in rows
    ]
    rates = rates_at({key for key in keys if key.base != key.quote})
    with localcontext(EXACT):
        for key, (bot_id, trade_id, _, entry_time, exit_time, net_pnl) in zip(keys, rows, strict=True):
            if key.base != key.quote:
                if key not in rates:
                    histories[bot_id].leave_out(utc_day(exit_time))
                    continue
                net_pnl = to_money(net_pnl * rates[key])
            histories[bot_id].trades.append(ClosedTrade(trade_id, entry_time, exit_time, net_pnl))


def _samples(
    bot: BotRow, slots: Sequence[datetime], held: Steps[tuple[Decimal, int]], balances: Steps[Balance]
) -> dict[date, list[ExposureSample]]:
    """Return, by day, what the bot held at each slot, at the price of its own last fill in the symbol."""
    samples: dict[date, list[ExposureSample]] = defaultdict(list)
    for slot in slots:
        exposure, positions = held.at(slot) or NOTHING
        balance = balances.at(slot)
        equity = bot.starting_capital if balance is None else balance.equity
        samples[slot.date()].append(ExposureSample(slot, exposure, equity, positions))
    return dict(samples)


def _exposures(held: Mapping[str, Steps[Holding]]) -> Steps[tuple[Decimal, int]]:
    """Return total exposure and number of open positions over all symbols, from each change to the next."""
    changes: Steps[tuple[Decimal, int]] = Steps()
    for moment in sorted({moment for steps in held.values() for moment in steps.moments}):
        now = [holding for steps in held.values() if (holding := steps.at(moment)) is not None and holding.size]
        changes.add(moment, (total(holding.worth for holding in now), len(now)))
    return changes
