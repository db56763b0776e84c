"""What is computed from the ledger, worked out anew and compared: daily metrics, snapshots, figures of bots, balances.

Metrics and figures of bots follow the ledger and are corrected. A snapshot is a record of what was known then, and a
balance is what the exchange told: they are compared and never changed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from analytics.metrics.borders import EXACT, to_money
from analytics.metrics.canonical import DEFINITION
from analytics.metrics.returns import ONE_DAY
from analytics.models import PortfolioSnapshot, RiskMetrics
from analytics.selectors.history import BotHistory, BotRow, bots_read, histories_read, samples_read
from analytics.selectors.portfolio import portfolios_at
from analytics.selectors.sql import fetch
from analytics.services.invariants import STALE
from analytics.services.portfolio import SLOTS_AT_ONCE, bots_refresh_total_pnl
from analytics.services.risk_metrics import BOTS_AT_ONCE, LOCK, WRITTEN, Wanted, day_inputs, rows_store, windows
from bots.ledger.symbols import split_symbol
from bots.models import Bot
from bots.services.rebuild import Difference

# When a row was computed is no figure.
FIGURES = [name for name in WRITTEN if name != "calculated_at"]
# What a snapshot says of a bot that fills and balances of that time give; marks of the moment are not kept.
OF_FILLS = ("realized_pnl", "open_positions")
# Jobs bring these figures in line within minutes.
FIGURES_DUE = timedelta(minutes=10)

# Days with a closed trade have a row.
TRADED_DAYS = """
    SELECT DISTINCT bot_id, (exit_time AT TIME ZONE 'UTC')::date FROM trades
    WHERE bot_id = ANY(%(bots)s::text[]) AND exit_time < date_trunc('day', now() - interval '1 hour', 'UTC')
"""
# A fact that came after a snapshot, of a time before it, is why they differ.
CAME_LATER = """
    SELECT DISTINCT s.at, f.bot_id FROM unnest(%(slots)s::timestamptz[], %(made)s::timestamptz[]) AS s(at, made)
    JOIN fills f ON f.executed_at <= s.at AND f.received_at > s.made
    WHERE f.received_at > (SELECT min(m) FROM unnest(%(made)s::timestamptz[]) AS m)
    UNION
    SELECT DISTINCT s.at, t.bot_id FROM unnest(%(slots)s::timestamptz[], %(made)s::timestamptz[]) AS s(at, made)
    JOIN trades t ON t.exit_time <= s.at AND t.updated_at > s.made AND t.origin = 'reported'
"""
# The newest equity that was told, and the sum of the closed trades, by symbol.
OF_BOTS = """
    SELECT b.bot_id, b.currency, b.current_equity, b.total_pnl, a.equity, t.symbol, t.net
    FROM bots b LEFT JOIN LATERAL (
        SELECT equity FROM account_balance WHERE bot_id = b.bot_id ORDER BY "timestamp" DESC, balance_id DESC LIMIT 1
    ) a ON true
    LEFT JOIN LATERAL (
        SELECT symbol, sum(pnl_usd) AS net FROM trades WHERE bot_id = b.bot_id AND exit_time IS NOT NULL GROUP BY symbol
    ) t ON true
    WHERE (%(bot)s::text IS NULL OR b.bot_id = %(bot)s) AND NOT EXISTS (
        SELECT 1 FROM trades n WHERE n.bot_id = b.bot_id AND n.exit_time IS NOT NULL AND n.updated_at > %(settled)s
            AND (n.origin <> 'fills' OR %(since)s::timestamptz IS NULL OR n.updated_at < %(since)s::timestamptz)
    )
    ORDER BY b.bot_id
"""
TOLD = """
    SELECT b.bot_id, b.currency, a."timestamp", a.total_balance, coalesce(c.paid_in, 0), n.symbol, n.net
    FROM bots b CROSS JOIN LATERAL (
        SELECT "timestamp", total_balance FROM account_balance
        WHERE bot_id = b.bot_id ORDER BY "timestamp" DESC, balance_id DESC LIMIT 1
    ) a
    LEFT JOIN LATERAL (
        SELECT sum(amount) AS paid_in FROM cash_flows
        WHERE bot_id = b.bot_id AND currency = b.currency AND (kind = 'initial' OR occurred_at <= a."timestamp")
    ) c ON true
    LEFT JOIN LATERAL (
        SELECT symbol, sum(net) AS net FROM (
            SELECT symbol, realized_pnl - fee_quote AS net FROM fills
            WHERE bot_id = b.bot_id AND executed_at <= a."timestamp"
            UNION ALL
            SELECT symbol, pnl_usd FROM trades
            WHERE bot_id = b.bot_id AND origin = 'reported' AND exit_time <= a."timestamp"
        ) each GROUP BY symbol
    ) n ON true
    WHERE %(bot)s::text IS NULL OR b.bot_id = %(bot)s
    ORDER BY b.bot_id
"""

Key = tuple[str, date]


class BalanceGap(NamedTuple):
    """What a bot told last of its balance, and what its cash flows and realised P&L up to then come to."""

    bot_id: str
    currency: str
    at: datetime
    reported: Decimal
    by_ledger: Decimal


def metrics_rebuild(
    *, bot_id: str | None = None, check: bool = False, since: datetime | None = None
) -> list[Difference]:
    """Compute every stored row of metrics anew, correct those that differ, and return the figures that did.

    A row that a late fact made stale is no difference: a job computes it again soon; it is corrected all the same.
    With `check` nothing is changed. since: when a rebuild began that has corrected trades; no fact has changed those.
    """
    bots = bots_read(None if bot_id is None else [bot_id])
    parts = (bots[start : start + BOTS_AT_ONCE] for start in range(0, len(bots), BOTS_AT_ONCE))
    return [found for part in parts for found in _metrics_of(part, check=check, since=since)]


@transaction.atomic
def _metrics_of(bots: Sequence[BotRow], *, check: bool, since: datetime | None) -> list[Difference]:
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
    now = timezone.now()
    before = _rows(bots)
    due = _due(bots, before)
    with transaction.atomic():
        for some in due.values():
            rows_store(some, now)
        after = _rows(bots)
        transaction.set_rollback(True)
    computed = {(wanted.history.bot.bot_id, wanted.inputs.day) for some in due.values() for wanted in some}
    stale = _stale(before, since)
    found: dict[Key, list[Difference]] = defaultdict(list)
    for key in sorted({*before, *computed}):
        found[key] = list(_compare(key, before.get(key), after.get(key) if key in computed else None))
    if not check:
        _correct(due, {key for key, differences in found.items() if differences}, computed, now)
    return [one for key, differences in found.items() if key not in stale for one in differences]


def _rows(bots: Sequence[BotRow]) -> dict[Key, dict[str, Any]]:
    rows = RiskMetrics.objects.filter(bot_id__in=[bot.bot_id for bot in bots], definition=DEFINITION)
    return {(row.pop("bot_id"), row.pop("date")): row for row in rows.values("bot_id", "date", *FIGURES)}


def _due(bots: Sequence[BotRow], stored: Mapping[Key, Any]) -> dict[date, list[Wanted]]:
    """Return what there are rows of, or have to be, by the window of days in which their samples are read."""
    keys = {*stored, *fetch(TRADED_DAYS, bots=[bot.bot_id for bot in bots if bot.status != "archived"])}
    if not keys:
        return {}
    first, last = min(day for _, day in keys), max(day for _, day in keys)
    histories = histories_read(list(bots), last_day=last)
    due: dict[date, list[Wanted]] = {}
    for begin, end in windows(first, last):
        samples_read(histories, first_day=begin, last_day=end)
        inside = (key for key in sorted(keys) if begin <= key[1] <= end)
        due[begin] = [Wanted(histories[bot_id], day_inputs(histories[bot_id], day))
                      for bot_id, day in inside if _has_begun(histories.get(bot_id), day)]  # fmt: skip
    return due


def _has_begun(history: BotHistory | None, day: date) -> bool:
    return history is not None and history.bot.first_day is not None and day >= history.bot.first_day


def _stale(stored: Mapping[Key, Any], since: datetime | None) -> set[Key]:
    keys = sorted(stored)
    bots, dates = [bot_id for bot_id, _ in keys], [day for _, day in keys]
    return set(fetch(STALE, definition=DEFINITION, bots=bots, dates=dates, since=since)) if keys else set()


def _compare(key: Key, stored: Mapping[str, Any] | None, due: Mapping[str, Any] | None) -> Iterator[Difference]:
    bot_id, day = key

    def difference(name: str, old: Any, new: Any) -> Difference:
        return Difference(bot_id, "", "metrics", day.isoformat(), name, _told(old), _told(new))

    if stored is None or due is None:
        yield difference("row", "missing" if stored is None else "present", "missing" if due is None else "present")
        return
    for name in FIGURES:
        if stored[name] != due[name]:
            yield difference(name, stored[name], due[name])


def _told(value: Any) -> str | None:
    if value is None:
        return None
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _correct(due: Mapping[date, Sequence[Wanted]], keys: set[Key], computed: set[Key], now: datetime) -> None:
    for some in due.values():
        rows_store([wanted for wanted in some if (wanted.history.bot.bot_id, wanted.inputs.day) in keys], now)
    for bot_id, day in keys - computed:
        RiskMetrics.objects.filter(bot_id=bot_id, date=day, definition=DEFINITION).delete()


def snapshots_compare(*, since: datetime, bot_id: str | None = None) -> list[Difference]:
    """Return what the fills say otherwise of snapshots than they say themselves, where no later fact explains it."""
    rows = PortfolioSnapshot.objects.filter(timestamp__gte=since).order_by("timestamp")
    found: list[Difference] = []
    slots = sorted(set(rows.values_list("timestamp", flat=True)))
    for start in range(0, len(slots), SLOTS_AT_ONCE):
        part = slots[start : start + SLOTS_AT_ONCE]
        found += _snapshots_of(part, list(rows.filter(timestamp__in=part)), bot_id)
    return found


def _snapshots_of(slots: Sequence[datetime], rows: Sequence[PortfolioSnapshot], bot_id: str | None) -> list[Difference]:
    due = {(one.at, one.currency): one for some in portfolios_at(slots).values() for one in some}
    later = set(fetch(CAME_LATER, slots=[row.timestamp for row in rows], made=[row.created_at for row in rows]))
    found = []
    for row in rows:
        bots = due[row.timestamp, row.currency].bots if (row.timestamp, row.currency) in due else {}
        for owner, told in row.bot_metrics.items():
            if owner not in bots or (row.timestamp, owner) in later or bot_id not in (None, owner):
                continue
            for name in OF_FILLS:
                stored, derived = Decimal(told[name]), Decimal(getattr(bots[owner], name))
                if stored != derived:
                    at = f"{row.timestamp:%Y-%m-%dT%H:%MZ}"
                    found.append(Difference(owner, "", "snapshot", at, name, f"{stored:f}", f"{derived:f}"))
    return found


def bots_rebuild(*, bot_id: str | None = None, check: bool = False, since: datetime | None = None) -> list[Difference]:
    """Compare what bots' own rows say with balances and trades, correct it, and return what differed.

    A bot of which a trade changed just now is left to the job that adds up; `since` as in `metrics_rebuild`.
    """
    sums: dict[str, tuple[Decimal | None, Decimal, Decimal | None, Decimal]] = {}
    for owner, currency, equity, pnl, told, symbol, net in fetch(
        OF_BOTS, bot=bot_id, settled=timezone.now() - FIGURES_DUE, since=since
    ):
        is_like = symbol is not None and split_symbol(symbol, currency)[1] == currency
        known = sums.get(owner, (equity, pnl, told, Decimal(0)))[3]
        sums[owner] = (equity, pnl, told, EXACT.add(known, net) if is_like else known)
    found = []
    for owner, (equity, pnl, told, net) in sums.items():
        total = to_money(net)
        if told is not None and equity != told:
            found.append(Difference(owner, "", "bot", owner, "current_equity", _told(equity), _told(told)))
            if not check:
                Bot.objects.filter(pk=owner).update(current_equity=told)
        if pnl != total:
            found.append(Difference(owner, "", "bot", owner, "total_pnl", _told(pnl), _told(total)))
    if found and not check:
        bots_refresh_total_pnl()
    return found


def balances_compare(*, bot_id: str | None = None) -> list[BalanceGap]:
    """Return the bots whose newest balance is not what their ledger comes to; reconciliation is a matter of people."""
    sums: dict[str, BalanceGap] = {}
    for owner, currency, at, reported, paid_in, symbol, net in fetch(TOLD, bot=bot_id):
        gap = sums.get(owner) or BalanceGap(owner, currency, at, reported, paid_in)
        if symbol is not None and split_symbol(symbol, currency)[1] == currency:
            gap = gap._replace(by_ledger=EXACT.add(gap.by_ledger, net))
        sums[owner] = gap
    return [gap for gap in sums.values() if gap.reported != gap.by_ledger]


def computed_since(days: int) -> datetime:
    """Return from when on snapshots are compared."""
    return timezone.now() - days * ONE_DAY
