"""What the time-series tables are like now, and what their maintenance would do."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.backends.utils import CursorWrapper

from tradingdb.db_backend.operations import applied_policies
from tradingdb.db_backend.partitions import default_periods, missing_periods
from tradingdb.db_backend.periods import periods_ahead
from tradingdb.db_backend.policies import Policy
from tradingdb.db_backend.retention import cutoff, droppable, has_old_rows
from tradingdb.db_backend.storage import Storage, TimeTable, default_rows, qualified, storage_of, time_tables


@dataclass(frozen=True, slots=True)
class SeriesState:
    """One table: what keeps its rows, in how many parts, from when to when, rows in DEFAULT, policy and what is due."""

    table: str
    kind: str
    parts: int
    oldest: datetime | None
    newest: datetime | None
    waiting: int
    policy: str
    due: list[str]


def series_states(now: datetime) -> list[SeriesState]:
    """Return the state of every time-series table, by name."""
    policies = applied_policies()
    return [_state(table, policies.get(table.name), now) for table in time_tables()]


def _state(table: TimeTable, policy: Policy | None, now: datetime) -> SeriesState:
    with connection.cursor() as cursor:
        storage = storage_of(cursor, table.name)
        oldest, newest = _ends(cursor, table, storage)
    waiting = default_rows(table)
    return SeriesState(
        table=waiting.table,
        kind=storage.kind.value,
        parts=len(storage.parts),
        oldest=oldest,
        newest=newest,
        waiting=waiting.rows,
        policy=str(policy or "none"),
        due=_due(table, storage, policy, now),
    )


def _due(table: TimeTable, storage: Storage, policy: Policy | None, now: datetime) -> list[str]:
    due = []
    if ahead := missing_periods(storage, periods_ahead(table.unit, now)):
        due.append(f"make {len(ahead)} partitions ahead")
    if adopted := default_periods(table, now):
        due.append(f"give {sum(rows for _, rows in adopted)} rows in DEFAULT {len(adopted)} partitions")
    before = cutoff(policy, now) if policy else None
    if policy and before:
        due += [f"drop {part.name}" for part in droppable(table, policy, before)]
        if has_old_rows(table, policy, before):
            due.append(f"delete rows before {before:%Y-%m-%d %H:%MZ}")
    return due


def _ends(cursor: CursorWrapper, table: TimeTable, storage: Storage) -> tuple[datetime | None, datetime | None]:
    """Return the first and last time of all rows; of the parts only the outermost ones that hold rows are read."""
    relations = [qualified(cursor, part.schema, part.name) for part in storage.parts]
    extra = [qualified(cursor, storage.schema, storage.default)] if storage.default else []
    found = [_range(cursor, table, relation) for relation in extra]
    for ordered in (relations, relations[::-1]):
        found.append(
            next((ends for ends in (_range(cursor, table, each) for each in ordered) if ends[0]), (None, None))
        )
    return (
        min((first for first, _ in found if first), default=None),
        max((last for _, last in found if last), default=None),
    )


def _range(cursor: CursorWrapper, table: TimeTable, relation: str) -> tuple[datetime | None, datetime | None]:
    column = cursor.db.ops.quote_name(table.column)
    cursor.execute(f"SELECT min({column}), max({column}) FROM {relation}")  # noqa: S608 (names come from the catalog)  # nosec B608
    first, last = cursor.fetchone()
    return first, last
