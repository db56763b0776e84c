"""Keeps the time-series tables: partitions ahead, retention, and a watch on rows that found no partition."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import DatabaseError, connection, transaction

from analytics.choices import QualityKind
from analytics.services.data_quality import clear_case, raise_case
from audit.services.events import event_record
from tradingdb.db_backend import community
from tradingdb.db_backend.operations import applied_policies
from tradingdb.db_backend.partitions import default_periods, make_ahead, make_partitions
from tradingdb.db_backend.policies import Policy
from tradingdb.db_backend.retention import cutoff, delete_old_rows, drop_part, droppable
from tradingdb.db_backend.storage import TimeTable, default_rows, time_tables

logger = logging.getLogger(__name__)

# How long one run may delete and move rows; what is left waits for the next one.
RUN_SECONDS = 120.0
# Rows of one period that are moved while the table's writers wait, for about a second.
MOST_ROWS_MOVED = 100_000
COMPONENT = "time_series"
ADOPTED = "All of them have a partition now."


@dataclass
class Maintenance:
    """What one run did: partitions made and dropped, rows deleted one by one, rows left in DEFAULT, and what failed."""

    created: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def maintain_time_series(now: datetime, *, most_moved: int | None = MOST_ROWS_MOVED) -> Maintenance:
    """Make what is needed next, let go what is old, and raise a case for rows that have no partition.

    Every table and step stands alone: one that is locked is reported as failed and done by the next run. Safe to run
    twice, and at the same time as itself. most_moved: larger crowds of one period stay in DEFAULT; None moves all.
    Raises DatabaseError when the database is away.
    """
    report, deadline = Maintenance(), time.monotonic() + RUN_SECONDS
    policies = applied_policies()
    for table in time_tables():
        policy = policies.get(table.name)
        # Told of first, so that the case tells what came, also where it gets a partition a moment later.
        _attempt(report, table, partial(_watch, report, table, now))
        _attempt(report, table, partial(_make_ahead, report, table, now))
        if policy is not None:
            _attempt(report, table, partial(_retain, report, table, policy, now, deadline))
        _attempt(report, table, partial(_adopt, report, table, now, deadline, most_moved))
        _attempt(report, table, partial(_watch, report, table, now))
    return report


def _attempt(report: Maintenance, table: TimeTable, step: Callable[[], None]) -> None:
    try:
        step()
    except DatabaseError as e:
        if not connection.is_usable():
            raise
        logger.warning("Maintenance of %s left out a step: %s", table.name, e)
        report.failed[table.name] = str(e)


def _make_ahead(report: Maintenance, table: TimeTable, now: datetime) -> None:
    report.created.extend(make_ahead(table, now))


def _retain(report: Maintenance, table: TimeTable, policy: Policy, now: datetime, deadline: float) -> None:
    """Let go what the policy lets go. What TimescaleDB's own job does meanwhile is found done."""
    with connection.cursor() as cursor:
        community.assert_policy(cursor, policy)
    before = cutoff(policy, now)
    if before is None:
        return
    deleted = 0
    try:
        for rows in delete_old_rows(table, policy, before):
            deleted += rows
            if time.monotonic() > deadline:
                break
    finally:
        if deleted:
            report.deleted[table.name] = deleted
            _tell(
                table,
                policy,
                f"{deleted} rows of {table.name} deleted",
                {"before": before.isoformat(), "rows": deleted},
            )
    for part in droppable(table, policy, before):
        with transaction.atomic():
            dropped = drop_part(table, policy, part)
            if dropped is not None:
                report.dropped.append(part.name)
                details = {"part": part.name, "start": part.start.isoformat(), "end": part.end.isoformat()}
                measures = {"size_bytes": dropped.size_bytes, "rows": dropped.rows}
                _tell(table, policy, f"{part.name} of {table.name} dropped", {**details, **measures})


def _tell(table: TimeTable, policy: Policy, message: str, details: Mapping[str, object]) -> None:
    logger.info("Retention: %s", message)
    event_record(
        event_type="RETENTION",
        message=f"Retention: {message}.",
        component=COMPONENT,
        details={"table": table.name, "policy": str(policy), **details},
    )


def _adopt(report: Maintenance, table: TimeTable, now: datetime, deadline: float, most: int | None) -> None:
    """Give the rows in DEFAULT their partitions: history that was brought in, for the most part."""
    for period, rows in default_periods(table, now):
        if time.monotonic() > deadline:
            break
        if most is None or rows <= most:
            report.created.extend(make_partitions(table, [period]))


def _watch(report: Maintenance, table: TimeTable, now: datetime) -> None:
    """Raise or refresh the case of rows in DEFAULT, or clear it when there are none."""
    found = default_rows(table)
    if found.rows:
        report.waiting[table.name] = found.rows
        details = {"oldest": found.oldest, "newest": found.newest}
        raise_case(kind=QualityKind.DEFAULT_PARTITION, table=found.table, rows=found.rows, details=details, now=now)
    else:
        report.waiting.pop(table.name, None)
        clear_case(kind=QualityKind.DEFAULT_PARTITION, table=found.table, note=ADOPTED, now=now)
