"""Running all invariants, in one snapshot of the database, and keeping the last report."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from typing import TypedDict, cast

from django.apps import apps
from django.conf import settings
from django.db import DataError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import module_has_submodule
from redis.exceptions import RedisError

from bots.ledger.shapes import stamp
from bots.live.client import sync_client
from bots.services.invariants.base import Findings, Invariant, findings

logger = logging.getLogger(__name__)

# Every app may have rules of its own in this module, as INVARIANTS; apps above this one are not imported by name.
MODULE = "services.invariants"

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


def invariants_run(*, since: datetime | None = None) -> Report:
    """Ask every invariant and return what they found.

    All questions see the ledger at one moment, whatever is written meanwhile. since: the last run; the exact replay
    then covers only what was touched after it, and time series are read from a day before it on.
    """
    with _snapshot():
        at = timezone.now()
        found = {one.name: _ask(one, since) for one in invariants()}
    return {"at": stamp(at), "ok": not any(one["count"] for one in found.values()), "invariants": found}


def _ask(one: Invariant, since: datetime | None) -> Findings:
    """Ask one invariant. Rows of which it cannot even be asked, such as a word for a number, break it."""
    try:
        with transaction.atomic():
            return one.find(since)
    except DataError as e:
        return findings([{"error": str(e)}])


def invariants_sweep() -> Report:
    """Run what is due since the last report, all of it after a bad one or without one, and keep the report."""
    last = last_report()
    report = invariants_run(since=datetime.fromisoformat(last["at"]) if last is not None and last["ok"] else None)
    keep_report(report)
    return report


def last_report() -> Report | None:
    """Return the last report that was kept; None when there is none or Redis does not answer."""
    try:
        text = sync_client().get(_key())
    except RedisError:
        return None
    return None if text is None else cast(Report, json.loads(cast(bytes, text)))


def keep_report(report: Report) -> None:
    """Keep a report for whoever asks for the last one; without Redis the next one is run anew."""
    try:
        sync_client().set(_key(), json.dumps(report))
    except RedisError as e:
        logger.warning("The report of the invariants was not kept: %s", e)


def _key() -> str:
    return f"{settings.REDIS_PREFIX}invariants:last"


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
