"""What bots believe they hold, against what their fills say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any

from django.utils import timezone

from bots.choices import CaseKind, Direction
from bots.ledger.fold import EXACT
from bots.ledger.shapes import plain, shape, stamp
from bots.selectors.fields import CASE
from bots.services.breaches import open_case
from bots.services.context import BotContext, run_for
from bots.services.plan import Outcome, Plan, Row, Sql

ZERO = Decimal(0)
# A bot that counts in floats cannot tell sizes closer than this share apart.
SIZE_TOLERANCE = Decimal("1e-9")
# Long is positive. Fills after the moment of the report are taken back: they cannot be in it.
HELD = """
    SELECT h.symbol, sum(h.size) AS size, max(h.avg_entry_price) AS avg_entry_price
    FROM (
        SELECT symbol, CASE side WHEN 'long' THEN size ELSE -size END AS size, avg_entry_price
        FROM positions WHERE bot_id = %(bot)s AND status IN ('open', 'partially_closed')
        UNION ALL
        SELECT symbol, CASE side WHEN 'buy' THEN -quantity ELSE quantity END, NULL
        FROM fills WHERE bot_id = %(bot)s AND executed_at > %(as_of)s
    ) h
    GROUP BY h.symbol ORDER BY h.symbol
"""
CASES = """
    SELECT * FROM reconciliation_cases
    WHERE bot_id = %(bot)s AND kind = 'position_mismatch' AND status <> 'resolved'
        AND symbol = ANY(%(symbols)s::varchar[])
    ORDER BY symbol
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedPosition:
    """One position as the bot or the exchange sees it; size 0 is flat."""

    symbol: str
    side: str
    size: Decimal
    avg_entry_price: Decimal | None = None

    @property
    def signed_size(self) -> Decimal:
        return self.size if self.side == Direction.LONG else self.size.copy_negate()


def compare_positions(bot: BotContext, reported: Sequence[ReportedPosition], as_of: datetime) -> Plan[Outcome]:
    """Compare net sizes symbol by symbol; each difference opens a case or refreshes the open one."""
    (rows,) = yield [Sql(HELD, {"bot": bot.bot_id, "as_of": as_of})]
    held = {row["symbol"]: row for row in rows if row["size"]}
    told: dict[str, list[ReportedPosition]] = {}
    for position in reported:
        told.setdefault(position.symbol, []).append(position)
    symbols = sorted({*held, *told})
    different = [symbol for symbol in symbols if not _agree(held.get(symbol), told.get(symbol, []))]
    body: dict[str, Any] = {"matched": len(symbols) - len(different), "cases": []}
    if different:
        now = timezone.now()
        yield [_case(bot, symbol, held.get(symbol), told.get(symbol, []), as_of=as_of, now=now) for symbol in different]
        (cases,) = yield [Sql(CASES, {"bot": bot.bot_id, "symbols": different})]
        body["cases"] = [shape(case, CASE) for case in cases]
    return Outcome(200, body)


def _agree(held: Row | None, told: Sequence[ReportedPosition]) -> bool:
    ours: Decimal = held["size"] if held else ZERO
    theirs = _net(told)
    difference = EXACT.subtract(ours, theirs).copy_abs()
    return difference <= EXACT.multiply(SIZE_TOLERANCE, max(ours.copy_abs(), theirs.copy_abs()))


def _net(told: Sequence[ReportedPosition]) -> Decimal:
    """The signed sum: a bot in hedge mode reports a long and a short in one symbol."""
    return reduce(EXACT.add, (position.signed_size for position in told), ZERO)


def _case(
    bot: BotContext, symbol: str, held: Row | None, told: Sequence[ReportedPosition], *, as_of: datetime, now: datetime
) -> Sql:
    ours = held["size"] if held else ZERO
    theirs = _net(told)
    prices = [plain(position.avg_entry_price) for position in told if position.avg_entry_price is not None]
    reported = _words(theirs) | {"as_of": stamp(as_of)}
    if prices:
        reported["avg_entry_price"] = ", ".join(prices)
    return open_case(
        bot, CaseKind.POSITION_MISMATCH, symbol=symbol, subject_id="", now=now, expected=_words(ours), reported=reported
    )


def _words(signed: Decimal) -> dict[str, str]:
    if not signed:
        return {"side": "flat", "size": "0"}
    return {"side": str(Direction.LONG if signed > 0 else Direction.SHORT), "size": plain(signed.copy_abs())}


def positions_report(*, bot_id: str, positions: Sequence[ReportedPosition], as_of: datetime) -> Outcome:
    """Compare what a bot reports with what its fills say. Raises NotFound."""
    return run_for(bot_id, lambda bot: compare_positions(bot, positions, as_of))
