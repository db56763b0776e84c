"""Runs of the invariants, kept: what was red, since when, and who is told of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from audit.choices import EventLevel, RunKind
from audit.models import InvariantRun
from audit.services.events import event_record
from tradingdb.lib import display
from tradingdb.lib.version import VERSION

KEPT_FOR = timedelta(days=90)
# A run comes each minute; when three are missing, nobody knows how the ledger is.
STALE_AFTER = timedelta(minutes=3)
# Letters of all rows that one run keeps.
FOUND_LETTERS = 100_000
RECORDING = "SELECT pg_advisory_xact_lock(hashtextextended('invariant runs', 0))"


@dataclass(frozen=True, slots=True)
class LedgerState:
    """How the ledger is, by its last run: `ok` only when that run is young and found nothing."""

    ok: bool
    note: str
    at: datetime | None


@transaction.atomic
def run_record(
    *, at: datetime, duration: timedelta, kind: RunKind, counts: Mapping[str, int],
    found: Mapping[str, Sequence[Mapping[str, Any]]], replay: str,
) -> InvariantRun:  # fmt: skip
    """Keep a run. An invariant that became broken with it, or is mended, leaves one event of the system.

    found: the first rows that break each broken invariant; replay: the name of the one that is the exact replay.
    """
    with connection.cursor() as cursor:
        # Two runs at once must agree on which of them saw a thing first.
        cursor.execute(RECORDING)
    last = last_run()
    before = last.red_since if last is not None else {}
    if last is not None and at < last.at:
        # A long run that shorter ones overtook: what they found since is not mended by what it saw before.
        counts = {**counts, **{name: last.counts[name] for name in before if not counts.get(name)}}
        found = {**last.found, **{name: rows for name, rows in found.items() if counts.get(name) and rows}}
    red = sorted(name for name, count in counts.items() if count)
    run = InvariantRun.objects.create(
        at=at,
        duration_ms=round(duration / timedelta(milliseconds=1)),
        kind=kind,
        ok=not red,
        counts=dict(counts),
        found=_bounded({name: found.get(name, []) for name in red}),
        red_since={name: before.get(name, at.isoformat()) for name in red},
        replay_differences=counts.get(replay, 0),
        version=VERSION,
    )
    for name in sorted({*red} - {*before}):
        _tell_broken(run, name)
    for name in sorted({*before} - {*red}):
        _tell_mended(name, before[name], at)
    return run


def _bounded(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Any]]:
    """Keep as many rows as the bound allows, of every invariant at least their list."""
    kept: dict[str, list[Any]] = {name: [] for name in found}
    left = FOUND_LETTERS
    for name, rows in found.items():
        for row in rows:
            left -= len(json.dumps(row))
            if left < 0:
                return kept
            kept[name].append(row)
    return kept


def _tell_broken(run: InvariantRun, name: str) -> None:
    count = run.counts[name]
    event_record(
        event_type="INVARIANT_BROKEN",
        level=EventLevel.CRITICAL,
        component="invariants",
        message=f"{name} is broken by {count} {'row' if count == 1 else 'rows'}.",
        details={"invariant": name, "count": count, "run": run.pk, "rows": run.found[name][:3]},
    )


def _tell_mended(name: str, since: str, at: datetime) -> None:
    began = datetime.fromisoformat(since)
    event_record(
        event_type="INVARIANT_MENDED",
        component="invariants",
        message=f"{name} holds again; it was broken since {began:%Y-%m-%d %H:%M:%S}Z.",
        details={"invariant": name, "broken_since": since, "seconds": round((at - began).total_seconds())},
    )


def last_run() -> InvariantRun | None:
    """Return the run that was recorded last: what is red now is in it."""
    return InvariantRun.objects.order_by("-pk").first()


def looked_at() -> datetime | None:
    """Return the newest moment that any run looked at."""
    newest: datetime | None = InvariantRun.objects.order_by("-at").values_list("at", flat=True).first()
    return newest


def ledger_state(now: datetime) -> LedgerState:
    """Return how the ledger is in a few words: well, what is red, or that nobody looked lately."""
    run = last_run()
    at = looked_at()
    if run is None or at is None:
        return LedgerState(False, "never looked at", None)
    if not run.ok:
        names = sorted(run.red_since)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return LedgerState(False, f"{', '.join(names[:3])}{more} broken", at)
    if now - at > STALE_AFTER:
        return LedgerState(False, f"not looked at for {display.age(now - at)}", at)
    return LedgerState(True, f"{len(run.counts)} hold", at)


def runs_remove_old(*, now: datetime) -> int:
    """Remove the runs of more than 90 days ago; return how many."""
    removed, _ = InvariantRun.objects.filter(at__lt=now - KEPT_FOR).delete()
    return removed
