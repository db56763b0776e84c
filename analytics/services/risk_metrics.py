"""Daily risk metrics: computed from the ledger, stored once a bot and UTC day, computed again when the ledger changes.

A row says what the ledger said when it was computed. `inputs_hash` tells whether it still does; `calculated_at` is
when it was last computed or, by the sweep, found to be right still.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from analytics.metrics.borders import utc_day
from analytics.metrics.canonical import DEFINITION, DayInputs, DayMetrics, compute_days, inputs_hash
from analytics.metrics.returns import ONE_DAY
from analytics.models import RiskMetrics
from analytics.selectors.history import BotHistory, BotRow, bots_read, histories_read, midnight, samples_read
from analytics.selectors.stale import first_late_days, first_missing_days
from bots.choices import BotStatus
from tradingdb.lib.errors import NotFound, ValidationFailed

# Beside the metrics' own reasons: a trade, flow or position in another currency, without a known rate, is left out.
UNLIKE_CURRENCY = "unlike_currency"

# A day's last facts are given this long to arrive before its figures are made.
GRACE = timedelta(minutes=1)
LOOKBACK = timedelta(days=2)

SWEEP_TIME = timedelta(minutes=1)

# Of one transaction.
BOTS_AT_ONCE = 25
ROWS_AT_ONCE = 2000
# Of one read of exposure samples: 288 a bot and day.
WINDOW = timedelta(days=31)
CELLS_AT_ONCE = 2_000_000  # of the matrix of returns: 16 MB

# One computation at a time, so that an older one cannot overwrite a newer one.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('analytics.risk_metrics', 0))"

KEYS = ("bot", "date", "definition")
WRITTEN = [field.name for field in RiskMetrics._meta.concrete_fields if field.name not in (*KEYS, "id", "created_at")]
# Written from the metrics as they are; the others differ in name, sign or content.
SAME = {field.name for field in fields(DayMetrics)} & {*WRITTEN, "definition"} - {"gross_loss", "provisional_reasons"}


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: rows written (new or changed) and rows whose inputs are what they were."""

    written: int = 0
    unchanged: int = 0

    def __add__(self, other: "Refreshed") -> "Refreshed":
        return Refreshed(self.written + other.written, self.unchanged + other.unchanged)


class Wanted(NamedTuple):
    """A bot's history and what the metrics of one day of it are computed from."""

    history: BotHistory
    inputs: DayInputs

    @property
    def is_whole(self) -> bool:
        """Whether nothing had to be left out of the inputs."""
        return self.history.is_whole(self.inputs.day)


def risk_metrics_compute_day(*, day: date, bot_id: str | None = None) -> Refreshed:
    """Compute the metrics of one UTC day for every bot that is not archived, or for one bot. Safe to run twice.

    Rows whose inputs have not changed are left alone. Raises ValidationFailed for a day that is not over and
    NotFound for an unknown bot.
    """
    return risk_metrics_backfill(first=day, last=day, bot_id=bot_id)


def risk_metrics_backfill(*, first: date, last: date, bot_id: str | None = None) -> Refreshed:
    """Compute the metrics of all UTC days from first to last; a bot's days begin with its first fact.

    Each bot's history is read once. Errors and repeats as in risk_metrics_compute_day.
    """
    if last >= utc_day(timezone.now()):
        raise ValidationFailed(f"The UTC day {last} is not over: its metrics would not stay.", day=last.isoformat())
    if first > last:
        raise ValidationFailed(f"{first} is after {last}.", first=first.isoformat(), last=last.isoformat())
    bots = bots_read(None if bot_id is None else [bot_id])
    if bot_id is not None and not bots:
        raise NotFound(f"No such bot: {bot_id}", bot_id=bot_id)
    kept = [bot for bot in bots if bot_id or bot.status != BotStatus.ARCHIVED]
    first_days = {bot: max(first, bot.first_day) for bot in kept if bot.first_day is not None and bot.first_day <= last}
    return sum((_refresh(some, last=last) for some in _parts(first_days, last=last)), Refreshed())


def risk_metrics_refresh_stale(*, lookback: timedelta | None = LOOKBACK) -> Refreshed:
    """Compute what is missing, and again what a late fact has made stale: all days of a bot from that fact's day on.

    lookback: how far back facts may have arrived; None looks at every fact, which takes its time. It ends after a
    minute, with whole bots; what is left is still missing or stale when the next one looks.
    """
    now = timezone.now()
    last = utc_day(now - GRACE) - ONE_DAY
    bots = {bot.bot_id: bot for bot in bots_read()}
    due = first_late_days(since=None if lookback is None else now - lookback, last=last)
    kept = [bot for bot in bots.values() if bot.status != BotStatus.ARCHIVED]
    for bot_id, day in first_missing_days(kept, last=last).items():
        due[bot_id] = min(day, due.get(bot_id, day))
    result = Refreshed()
    for some in _parts({bots[bot_id]: day for bot_id, day in sorted(due.items())}, last=last):
        result += _refresh(some, last=last, confirm=True)
        if timezone.now() - now > SWEEP_TIME:
            break
    return result


def _parts(first_days: Mapping[BotRow, date], *, last: date) -> Iterator[dict[BotRow, date]]:
    """Cut the bots into parts that one transaction brings in line, by the number of their rows."""
    part: dict[BotRow, date] = {}
    rows = 0
    for bot, first in first_days.items():
        days = (last - first).days + 1
        if part and (len(part) == BOTS_AT_ONCE or rows + days > ROWS_AT_ONCE):
            yield part
            part, rows = {}, 0
        part[bot] = first
        rows += days
    if part:
        yield part


@transaction.atomic
def _refresh(first_days: Mapping[BotRow, date], *, last: date, confirm: bool = False) -> Refreshed:
    """Bring the rows of some bots, each from its day to the last, in line with the ledger.

    confirm: stamp the rows that are right already, so that the next sweep need not look at them.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
    # Before the first read: what arrives from here on must look newer than the rows.
    now = timezone.now()
    histories = histories_read(list(first_days), last_day=last)
    begin = {bot.bot_id: day for bot, day in first_days.items()}
    result = Refreshed()
    for window in windows(min(begin.values()), last):
        samples_read(histories, first_day=window[0], last_day=window[1])
        stored = _stored(begin, window)
        due: list[Wanted] = []
        right: list[int] = []
        for wanted in _wanted(histories, begin, window):
            row = stored.get((wanted.history.bot.bot_id, wanted.inputs.day))
            if row is not None and _is_right(row, wanted):
                right.append(row.pk)
            else:
                due.append(wanted)
        rows_store(due, now)
        if confirm:
            RiskMetrics.objects.filter(pk__in=right).update(calculated_at=now)
        result += Refreshed(written=len(due), unchanged=len(right))
    return result


def windows(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Cut a span of days into windows whose samples fit into memory."""
    while first <= last:
        end = min(first + WINDOW - ONE_DAY, last)
        yield first, end
        first = end + ONE_DAY


def _wanted(
    histories: Mapping[str, BotHistory], begin: Mapping[str, date], window: tuple[date, date]
) -> Iterator[Wanted]:
    """Yield what the metrics of each bot and day of the window are computed from."""
    for bot_id, history in histories.items():
        day = max(window[0], begin[bot_id])
        while day <= window[1]:
            yield Wanted(history, day_inputs(history, day))
            day += ONE_DAY


def day_inputs(history: BotHistory, day: date) -> DayInputs:
    """Return the inputs of one day; the samples of that day must have been read. Needs a bot with a first fact."""
    assert history.bot.first_day is not None
    closed = bisect_left(history.trades, midnight(day + ONE_DAY), key=lambda trade: trade.exit_time)
    return DayInputs(
        day=day,
        first_day=history.bot.first_day,
        starting_capital=history.bot.starting_capital,
        equity=history.equity,
        flows=history.flows,
        trades=history.trades[:closed],
        samples=history.samples[day],
    )


def _stored(bot_ids: Collection[str], window: tuple[date, date]) -> dict[tuple[str, date], RiskMetrics]:
    rows = RiskMetrics.objects.filter(bot_id__in=bot_ids, definition=DEFINITION, date__range=window)
    needed = rows.only("bot_id", "date", "inputs_hash", "provisional_reasons")
    return {(row.bot_id, row.date): row for row in needed}


def _is_right(row: RiskMetrics, wanted: Wanted) -> bool:
    """Whether a row was computed from these inputs; what is left out of them is not in their hash."""
    was_whole = UNLIKE_CURRENCY not in row.provisional_reasons
    return was_whole == wanted.is_whole and row.inputs_hash == inputs_hash(wanted.inputs)


def rows_store(due: Sequence[Wanted], now: datetime) -> None:
    """Compute the metrics of some days and write their rows, new or over the old ones."""
    for some in _batches(due):
        metrics = compute_days([wanted.inputs for wanted in some])
        RiskMetrics.objects.bulk_create(
            [_row(wanted, figures, now) for wanted, figures in zip(some, metrics, strict=True)],
            update_conflicts=True,
            unique_fields=KEYS,
            update_fields=WRITTEN,
            batch_size=500,
        )


def _batches(due: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
    """Cut into parts whose matrix of returns, one row a bot and day and as wide as the longest history, stays small."""
    width = max(((wanted.inputs.day - wanted.inputs.first_day).days + 1 for wanted in due), default=1)
    size = max(1, CELLS_AT_ONCE // width)
    return (due[start : start + size] for start in range(0, len(due), size))


def _row(wanted: Wanted, figures: DayMetrics, now: datetime) -> RiskMetrics:
    reasons = [str(reason) for reason in figures.provisional_reasons]
    if not wanted.is_whole:
        reasons.append(UNLIKE_CURRENCY)
    return RiskMetrics(
        **{name: getattr(figures, name) for name in SAME},
        bot_id=wanted.history.bot.bot_id,
        date=figures.day,
        # The column is a positive number; here losses are negative. abs() would round to 28 digits.
        gross_loss=figures.gross_loss.copy_abs(),
        max_consecutive_wins=figures.longest_winning_streak,
        max_consecutive_losses=figures.longest_losing_streak,
        is_provisional=bool(reasons),
        provisional_reasons=reasons,
        calculated_at=now,
    )
