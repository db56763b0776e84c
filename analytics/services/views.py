"""Keeps the views fresh: each under a lock and a time limit of its own; one that fails stops no other and is shown."""

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper

from analytics.choices import ViewName
from analytics.models import ViewRefresh
from analytics.services.daily_candles import DaysRemain, daily_candles_refresh

logger = logging.getLogger(__name__)

PERIODS = {
    ViewName.ACTIVE_POSITIONS_SUMMARY: timedelta(minutes=1),
    ViewName.SYSTEM_HEALTH_DASHBOARD: timedelta(minutes=1),
    ViewName.DAILY_PERFORMANCE_SUMMARY: timedelta(minutes=5),
    ViewName.DAILY_OHLCV: timedelta(minutes=5),
}
STALE_PERIODS = 3
REFRESHED, BUSY, FAILED = "refreshed", "busy", "failed"

TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('view' || chr(31) || %s, 0))"
LIMIT = "SET LOCAL statement_timeout = '120s'"
IS_POPULATED = "SELECT relispopulated FROM pg_class WHERE oid = to_regclass(%s)"


def refresh_views(now: datetime, names: Iterable[str] = tuple(ViewName)) -> dict[str, str]:
    """Bring views up to date; return for each what became of it: refreshed, busy (another run is at it) or failed.

    A failure is logged, kept in `view_refreshes` and shown beside the age of what the view still holds.
    """
    return {name: _refresh(ViewName(name), now) for name in names}


def is_stale(refresh: ViewRefresh | None, now: datetime) -> bool:
    """Whether a view has missed its refresh three times, or was never refreshed."""
    if refresh is None or refresh.refreshed_at is None:
        return True
    return now - refresh.refreshed_at > STALE_PERIODS * PERIODS[ViewName(refresh.view_name)]


def _refresh(name: ViewName, now: datetime) -> str:
    started = time.monotonic()
    try:
        if name == ViewName.DAILY_OHLCV:
            last = ViewRefresh.objects.filter(view_name=name).first()
            since = last.refreshed_at if last else None
            row_count = daily_candles_refresh(since=since, now=now, guard=partial(_begin, name=name))
        else:
            row_count = _refresh_materialised(name)
    except (DatabaseError, DaysRemain) as e:
        logger.warning("View %s was not refreshed.", name, exc_info=True)
        # The first line; what follows may quote rows.
        _record(name, now, started, error=str(e).partition("\n")[0])
        return FAILED
    if row_count is None:
        return BUSY
    _record(name, now, started, error="", refreshed_at=now, row_count=row_count)
    return REFRESHED


def _begin(cursor: CursorWrapper, name: ViewName) -> bool:
    """Take the view's lock for this transaction and limit its statements; False when another run has it."""
    cursor.execute(TRY_LOCK, [name])
    [(is_ours,)] = cursor.fetchall()
    if is_ours:
        cursor.execute(LIMIT)
    return bool(is_ours)


def _refresh_materialised(name: ViewName) -> int | None:
    """Compute one materialised view anew; return its rows, None when another run is at it."""
    view = f"analytics.{name}"
    with transaction.atomic(), connection.cursor() as cursor:
        if not _begin(cursor, name):
            return None
        cursor.execute(IS_POPULATED, [view])
        [(is_populated,)] = cursor.fetchall()
        # Readers go on meanwhile; a view that was restored without its rows has no readers yet.
        cursor.execute(f"REFRESH MATERIALIZED VIEW {'CONCURRENTLY' if is_populated else ''} {view}")
        cursor.execute(f"SELECT count(*) FROM {view}")  # noqa: S608 (the name is one of ViewName)  # nosec B608
        return int(cursor.fetchone()[0])


def _record(name: ViewName, now: datetime, started: float, **columns: Any) -> None:
    """Keep what became of an attempt; what is not told of the last success stays."""
    duration_ms = round((time.monotonic() - started) * 1000)
    columns |= {"attempted_at": now, "duration_ms": duration_ms}
    ViewRefresh.objects.update_or_create(view_name=name, defaults=columns)
