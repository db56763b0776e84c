"""What an account holds, as a bot or the exchange sees it, against what the fills of all its bots say."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial, reduce
from typing import Any

from django.utils import timezone

from bots.choices import CaseKind, Direction
from bots.ledger.fold import EXACT
from bots.ledger.shapes import plain, shape, stamp
from bots.selectors.fields import CASE
from bots.services.breaches import open_case
from bots.services.context import AccountContext, bot_context, read_account
from bots.services.locks import lock_account
from bots.services.plan import Outcome, Plan, Row, Sql, run
from tradingdb.lib.times import EARLIEST

ZERO = Decimal(0)
# A bot that counts in floats cannot tell sizes closer than this share apart.
SIZE_TOLERANCE = Decimal("1e-9")
# Long is positive. Fills after the moment of the report are taken back: they cannot be in it.
HELD = """
    SELECT h.symbol, sum(h.size) AS size
    FROM (
        SELECT symbol, CASE side WHEN 'long' THEN size ELSE -size END AS size
        FROM positions WHERE bot_id = ANY(%(bots)s::varchar[]) AND status IN ('open', 'partially_closed')
        UNION ALL
        SELECT symbol, CASE side WHEN 'buy' THEN -quantity ELSE quantity END
        FROM fills WHERE bot_id = ANY(%(bots)s::varchar[]) AND executed_at > %(as_of)s
    ) h
    GROUP BY h.symbol HAVING sum(h.size) <> 0
"""
# What the account has done and no bot has told of: it may be the whole difference.
WAITING = """
    SELECT symbol, sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS size
    FROM unattributed_fills WHERE account_id = %(account)s AND status = 'open' AND executed_at <= %(as_of)s
    GROUP BY symbol
"""
CASES = """
    SELECT * FROM reconciliation_cases
    WHERE account_id = %(account)s AND kind = 'position_mismatch' AND status <> 'resolved'
    ORDER BY symbol
"""
GONE = """
    UPDATE reconciliation_cases SET gone_since = %(as_of)s
    WHERE id = ANY(%(ids)s::bigint[]) AND gone_since IS NULL
"""
# Symbols that a bot has traded itself.
OWN = "SELECT DISTINCT symbol FROM positions WHERE bot_id = %(bot)s AND symbol = ANY(%(symbols)s::varchar[])"
REPORTED = """
    UPDATE exchange_accounts SET positions_reported_at = greatest(positions_reported_at, %(as_of)s)
    WHERE id = %(account)s
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """The symbols that agree, and the open cases of those that do not."""

    matched: list[str]
    cases: list[dict[str, Any]]

    @property
    def symbols(self) -> list[str]:
        return [*self.matched, *(case["symbol"] for case in self.cases)]

    def of(self, symbols: Collection[str]) -> "Comparison":
        """Return what a bot that is not alone on its account hears; what people wrote may name the others."""
        cases = [case | {"cause": ""} for case in self.cases if case["symbol"] in symbols]
        return Comparison([symbol for symbol in self.matched if symbol in symbols], cases)

    def told(self) -> Outcome:
        """Return the answer."""
        return Outcome(200, {"matched": len(self.matched), "cases": self.cases})


def compare_positions(
    account: AccountContext, reported: Sequence[ReportedPosition], as_of: datetime
) -> Plan[Comparison]:
    """Compare net sizes symbol by symbol: a difference opens a case or refreshes the open one.

    A case whose difference is gone is marked and stays open until a person closes it. A report that is older than
    what a case was last seen with leaves that case alone.
    """
    params = {"account": account.account_id, "bots": list(account.bots), "as_of": as_of}
    _, held_rows, waiting_rows, cases, _ = yield [
        lock_account(account.account_id), Sql(HELD, params), Sql(WAITING, params), Sql(CASES, params),
        Sql(REPORTED, params),
    ]  # fmt: skip
    held = {row["symbol"]: row["size"] for row in held_rows}
    waiting = {row["symbol"]: row["size"] for row in waiting_rows}
    told: dict[str, list[ReportedPosition]] = {}
    for position in reported:
        told.setdefault(position.symbol, []).append(position)
    symbols = sorted({*held, *told})
    different = [symbol for symbol in symbols if not _agree(held.get(symbol, ZERO), _net(told.get(symbol, [])))]
    newer = {row["symbol"] for row in cases if _seen_at(row) > as_of}
    gone = [row["id"] for row in cases if row["symbol"] not in {*different, *newer}]
    now = timezone.now()
    yield [
        *([Sql(GONE, {"ids": gone, "as_of": as_of})] if gone else []),
        *(
            _case(account, symbol, held.get(symbol, ZERO), told.get(symbol, []), waiting.get(symbol, ZERO), as_of, now)
            for symbol in different
            if symbol not in newer
        ),
    ]
    (cases,) = yield [Sql(CASES, params)]
    matched = [symbol for symbol in symbols if symbol not in different]
    return Comparison(matched, [shape(case, CASE) for case in cases if case["symbol"] in different])


def _seen_at(case: Row) -> datetime:
    told: str | None = case["reported"].get("as_of")
    return datetime.fromisoformat(told) if told else EARLIEST


def _agree(ours: Decimal, theirs: Decimal) -> bool:
    difference = EXACT.subtract(ours, theirs).copy_abs()
    return difference <= EXACT.multiply(SIZE_TOLERANCE, max(ours.copy_abs(), theirs.copy_abs()))


def _net(told: Sequence[ReportedPosition]) -> Decimal:
    """The signed sum: a bot in hedge mode reports a long and a short in one symbol."""
    return reduce(EXACT.add, (position.signed_size for position in told), ZERO)


def _case(
    account: AccountContext, symbol: str, ours: Decimal, told: Sequence[ReportedPosition], waiting: Decimal,
    as_of: datetime, now: datetime,
) -> Sql:  # fmt: skip
    expected = _words(ours)
    if waiting:
        expected["unattributed"] = plain(waiting)
    prices = [plain(position.avg_entry_price) for position in told if position.avg_entry_price is not None]
    reported = _words(_net(told)) | {"as_of": stamp(as_of)}
    if prices:
        reported["avg_entry_price"] = ", ".join(prices)
    kind = CaseKind.POSITION_MISMATCH
    return open_case(account, kind, symbol=symbol, subject_id="", now=now, expected=expected, reported=reported)


def _words(signed: Decimal) -> dict[str, str]:
    if not signed:
        return {"side": "flat", "size": "0"}
    return {"side": str(Direction.LONG if signed > 0 else Direction.SHORT), "size": plain(signed.copy_abs())}


def positions_report(*, bot_id: str, positions: Sequence[ReportedPosition], as_of: datetime) -> Outcome:
    """Compare what a bot reports of its account with what the fills of all bots on it say. Raises NotFound.

    Where others trade on that account too, the bot hears of the symbols that it names or has traded itself.
    """
    read = partial(read_account, key=bot_context(bot_id).account_id)

    def plan() -> Plan[Outcome]:
        account = yield from read()
        comparison = yield from compare_positions(account, positions, as_of)
        if account.bot_id is None:
            (rows,) = yield [Sql(OWN, {"bot": bot_id, "symbols": comparison.symbols})]
            named = {position.symbol for position in positions}
            comparison = comparison.of(named | {row["symbol"] for row in rows})
        return comparison.told()

    return run(plan)


def account_compare(*, account_id: str, positions: Sequence[ReportedPosition], as_of: datetime) -> Outcome:
    """Compare a snapshot of an account, as its exchange shows it, with what the fills say. Raises NotFound."""

    def plan() -> Plan[Outcome]:
        account = yield from read_account(name=account_id)
        return (yield from compare_positions(account, positions, as_of)).told()

    return run(plan)
