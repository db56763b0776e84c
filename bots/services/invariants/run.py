"""Running the invariants, in one snapshot of the database, and keeping what they found."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib import import_module
from typing import TypedDict

from django.apps import apps
from django.db import DataError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import module_has_submodule

from audit.choices import RunKind
from audit.models import InvariantRun
from audit.services.invariant_runs import last_run, looked_at, run_record
from bots.ledger.shapes import stamp
from bots.services.invariants.base import Findings, Invariant, findings
from bots.services.invariants.replay import NAME as REPLAY
from bots.services.invariants.window import Window
from tradingdb.lib.errors import Unavailable

# Every app may have rules of its own in this module, as INVARIANTS; apps above this one are not imported by name.
MODULE = "services.invariants"
# One sweep at a time: a slow one must not be overtaken by the next ones.
SWEEPING = "SELECT pg_try_advisory_xact_lock(hashtextextended('invariant sweep', 0))"

# All of a large ledger takes longer than a request's bounds; a transaction that only reads keeps nobody waiting.
LONG = "SET LOCAL statement_timeout = '240s'; SET LOCAL idle_in_transaction_session_timeout = '60s'"


class Report(TypedDict):
    """One run: when, whether all is well, and what each invariant found."""

    at: str
    ok: bool
    invariants: dict[str, Findings]


def invariants() -> list[Invariant]:
    """Return the invariants of all apps, by name."""
    found: list[Invariant] = []
    for app in apps.get_app_configs():
        if app.module is not None and module_has_submodule(app.module, MODULE):
            found += import_module(f"{app.name}.{MODULE}").INVARIANTS
    return sorted(found, key=lambda one: one.name)


def invariants_run(*, since: datetime | None = None, whole: Collection[str] = ()) -> Report:
    """Ask every invariant and return what they found, without keeping it.

    All questions see the ledger at one moment, whatever is written meanwhile. since: the last run; what was touched
    after it is looked at then, by the invariants named in `whole` everything nevertheless.
    """
    with _snapshot():
        return _asked(since, whole)


def invariants_verify() -> Report:
    """Ask every invariant over the whole ledger, keep the run and return its report."""
    began = time.perf_counter()
    report = invariants_run()
    _keep(report, RunKind.FULL, began)
    return report


def invariants_sweep() -> Report:
    """Look at what was touched since the last run, keep the run and return its report.

    Without a run before it looks at everything. An invariant that was broken is asked about everything again, so that
    it counts as mended only when it holds. While another sweep is under way, the run before it is the answer;
    raises Unavailable when there is none.
    """
    began = time.perf_counter()
    with _snapshot():
        last = last_run()
        with connection.cursor() as cursor:
            cursor.execute(SWEEPING)
            is_alone = cursor.fetchone()[0]
        if not is_alone:
            if last is None:
                raise Unavailable("The first run is under way; ask again in a minute.")
            return report_of(last)
        report = _asked(None, ()) if last is None else _asked(looked_at(), last.red_since)
    _keep(report, RunKind.FULL if last is None else RunKind.INCREMENTAL, began)
    return report


def last_report() -> Report | None:
    """Return the report of the last run; None when there was none yet."""
    run = last_run()
    return None if run is None else report_of(run)


def report_of(run: InvariantRun) -> Report:
    """Return the last run as a report of the newest moment that was looked at: a long run can be overtaken."""
    found: dict[str, Findings] = {
        name: {"count": count, "rows": run.found.get(name, [])} for name, count in sorted(run.counts.items())
    }
    return {"at": stamp(looked_at() or run.at), "ok": run.ok, "invariants": found}


def broken(report: Report) -> list[str]:
    """Return the names of the invariants that do not hold."""
    return [name for name, found in report["invariants"].items() if found["count"]]


def _asked(since: datetime | None, whole: Collection[str]) -> Report:
    at = timezone.now()
    window = Window.after(since)
    found = {one.name: _ask(one, None if one.name in whole else window) for one in invariants()}
    return {"at": stamp(at), "ok": not any(one["count"] for one in found.values()), "invariants": found}


def _keep(report: Report, kind: RunKind, began: float) -> None:
    found = report["invariants"]
    run_record(
        at=datetime.fromisoformat(report["at"]),
        duration=timedelta(seconds=time.perf_counter() - began),
        kind=kind,
        counts={name: each["count"] for name, each in found.items()},
        found={name: each["rows"] for name, each in found.items()},
        replay=REPLAY,
    )


def _ask(one: Invariant, window: Window | None) -> Findings:
    """Ask one invariant. Rows of which it cannot even be asked, such as a word for a number, break it."""
    try:
        with transaction.atomic():
            return one.find(window)
    except DataError as e:
        return findings([{"error": str(e)}])


@contextmanager
def _snapshot() -> Iterator[None]:
    """See one moment of the database; inside a transaction of the caller, what that one sees."""
    is_nested = connection.in_atomic_block
    with transaction.atomic():
        if not is_nested:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute(LONG)
        yield
