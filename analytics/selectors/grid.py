"""What bots held and what their accounts showed at the slots of a five-minute grid, read for many bots at once.

Both reads are the ledger as of each slot: a fact at the very moment of a slot counts in it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Generic, NamedTuple, TypeVar

from analytics.metrics.borders import EXACT
from analytics.selectors.sql import Rows, fetch

SLOT = timedelta(minutes=5)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZERO = Decimal(0)

V = TypeVar("V")

# A moment counts in the first slot at or after it, but not before the first slot that is asked for.
HOLDINGS = """
    SELECT f.bot_id, f.symbol, f.slot, sum(f.signed), sum(f.signed * f.price), sum(f.realized_pnl), sum(f.fee_quote),
        (array_agg(f.price ORDER BY f.executed_at DESC, f.fill_id DESC))[1]
    FROM (
        SELECT bot_id, symbol, fill_id, executed_at, price, realized_pnl, fee_quote,
            CASE side WHEN 'buy' THEN quantity ELSE -quantity END AS signed,
            greatest(%(first)s,
                date_bin(%(step)s, executed_at - interval '1 microsecond', %(epoch)s) + %(step)s) AS slot
        FROM fills WHERE bot_id = ANY(%(bots)s) AND executed_at <= %(last)s
    ) f
    GROUP BY f.bot_id, f.symbol, f.slot ORDER BY f.bot_id, f.symbol, f.slot
"""
BALANCES = """
    SELECT b.bot_id, %(first)s AS slot, a.equity, a.total_balance, a.margin_used
    FROM unnest(%(bots)s::text[]) AS b(bot_id)
    CROSS JOIN LATERAL (
        SELECT equity, total_balance, margin_used FROM account_balance
        WHERE bot_id = b.bot_id AND "timestamp" <= %(first)s ORDER BY "timestamp" DESC, balance_id DESC LIMIT 1
    ) a
    UNION ALL
    SELECT * FROM (
        SELECT DISTINCT ON (bot_id, slot) bot_id, slot, equity, total_balance, margin_used
        FROM (
            SELECT *, date_bin(%(step)s, "timestamp" - interval '1 microsecond', %(epoch)s) + %(step)s AS slot
            FROM account_balance
            WHERE bot_id = ANY(%(bots)s) AND "timestamp" > %(first)s AND "timestamp" <= %(last)s
        ) a
        ORDER BY bot_id, slot, "timestamp" DESC, balance_id DESC
    ) later
    ORDER BY 1, 2
"""


@dataclass(slots=True)
class Steps(Generic[V]):
    """Values that hold from a moment until the next one."""

    moments: list[datetime] = field(default_factory=list)
    values: list[V] = field(default_factory=list)

    def add(self, moment: datetime, value: V) -> None:
        """Append a value; moments come in ascending order."""
        self.moments.append(moment)
        self.values.append(value)

    def at(self, moment: datetime) -> V | None:
        """Return the value that holds at a moment, None before the first."""
        index = bisect_right(self.moments, moment)
        return self.values[index - 1] if index else None


class Holding(NamedTuple):
    """What one bot holds of one symbol, from all its fills so far; money is in the quote currency and exact.

    size: signed, negative when short. cost: signed cost basis of what is held. realized: net of fees.
    price: of the last fill.
    """

    size: Decimal
    cost: Decimal
    realized: Decimal
    price: Decimal

    @property
    def worth(self) -> Decimal:
        """|size x price|, exact."""
        return EXACT.multiply(self.size, self.price).copy_abs()

    @property
    def unrealized(self) -> Decimal:
        """Gross P&L of what is held at the price, exact."""
        return EXACT.subtract(EXACT.multiply(self.size, self.price), self.cost)


class Balance(NamedTuple):
    """What the account of a bot last showed."""

    equity: Decimal
    total: Decimal
    margin_used: Decimal


def slots_between(first: datetime, last: datetime) -> list[datetime]:
    """Return the slots from first to last, both included; first must be one."""
    return [first + SLOT * n for n in range((last - first) // SLOT + 1)]


def slot_at(moment: datetime) -> datetime:
    """Return the last slot at or before a moment."""
    return moment - (moment - EPOCH) % SLOT


def holdings_read(bot_ids: Sequence[str], *, first: datetime, last: datetime) -> dict[str, dict[str, Steps[Holding]]]:
    """Return, by bot and symbol, what was held at each slot from first to last; one query.

    The cost basis follows from the fold's identity "realised = cash flow + signed cost basis", which holds to the
    last digit.
    """
    result: dict[str, dict[str, Steps[Holding]]] = defaultdict(lambda: defaultdict(Steps))
    with localcontext(EXACT):
        for bot_id, symbol, slot, signed, notional, realized, fees, price in _rows(HOLDINGS, bot_ids, first, last):
            steps = result[bot_id][symbol]
            size, cost, net, _ = steps.values[-1] if steps.values else Holding(ZERO, ZERO, ZERO, ZERO)
            steps.add(slot, Holding(size + signed, cost + notional + realized, net + realized - fees, price))
    return {bot_id: dict(by_symbol) for bot_id, by_symbol in result.items()}


def balances_read(bot_ids: Sequence[str], *, first: datetime, last: datetime) -> dict[str, Steps[Balance]]:
    """Return, by bot, the last balance at or before each slot from first to last; one query."""
    result: dict[str, Steps[Balance]] = defaultdict(Steps)
    for bot_id, slot, *figures in _rows(BALANCES, bot_ids, first, last):
        result[bot_id].add(slot, Balance(*figures))
    return dict(result)


def _rows(sql: str, bot_ids: Sequence[str], first: datetime, last: datetime) -> Rows:
    return fetch(sql, bots=list(bot_ids), first=first, last=last, step=SLOT, epoch=EPOCH)
