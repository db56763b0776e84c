"""Monthly partitions of the time-series tables, made ahead, on servers without TimescaleDB.

Rows for which there is no partition go to the DEFAULT one, where they keep a partition of their month from being
attached. So partitions are made before their month comes, and rows that were quicker are moved.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple, cast

from django.apps import apps
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper
from timescale.db.models.fields import TimescaleDateTimeField

from tradingdb.db_backend.base import DatabaseWrapper

MONTHS_AHEAD = 2

SCHEMA_OF = (
    "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)"
)
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('partitions', 0))"


class Table(NamedTuple):
    """A partitioned table and its time column."""

    name: str
    column: str


class Month(NamedTuple):
    """One UTC month; `end` is the first moment of the next one."""

    start: datetime
    end: datetime

    @property
    def suffix(self) -> str:
        return f"{self.start:y%Ym%m}"


def ensure_partitions(now: datetime, *, using: str = "default") -> list[str]:
    """Make the partitions of this UTC month and the next two; return the names of the new ones. Safe to run twice.

    Rows of a new partition's month that lie in the DEFAULT partition are moved in the same transaction.
    Does nothing where TimescaleDB keeps the tables. Raises OperationalError when a table stays locked.
    """
    connection = cast(DatabaseWrapper, connections[using])
    if connection.has_timescaledb:
        return []
    made = []
    for table in time_tables():
        for month in months(now):
            with transaction.atomic(using=using), connection.cursor() as cursor:
                cursor.execute(LOCK)
                if _make(cursor, table, month):
                    made.append(f"{table.name}_{month.suffix}")
    return made


def time_tables() -> list[Table]:
    """Return the tables whose model has a time-series field, by name."""
    found = {
        Table(model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, TimescaleDateTimeField) and model._meta.managed
    }
    return sorted(found)


def months(now: datetime) -> Iterator[Month]:
    """Yield the month of a moment and those that are made ahead."""
    now = now.astimezone(UTC)
    for number in range(now.year * 12 + now.month - 1, now.year * 12 + now.month + MONTHS_AHEAD):
        yield Month(_first_of(number), _first_of(number + 1))


def _first_of(number: int) -> datetime:
    """Return the first moment of a month that is counted from year 0."""
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _make(cursor: CursorWrapper, table: Table, month: Month) -> bool:
    """Make one partition; False when it is there."""
    cursor.execute(SCHEMA_OF, [table.name])
    schema = cursor.fetchone()[0]
    quote = cursor.db.ops.quote_name
    parent, default = f"{quote(schema)}.{quote(table.name)}", f"{quote(schema)}.{quote(f'{table.name}_default')}"
    partition, column = f"{quote(schema)}.{quote(f'{table.name}_{month.suffix}')}", quote(table.column)
    cursor.execute("SELECT to_regclass(%s)", [partition])
    if cursor.fetchone()[0] is not None:
        return False
    # Until the commit nothing may come into DEFAULT that belongs to the new partition.
    cursor.execute(f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
    # Made beside the table and attached: this does not lock readers and writers of the other partitions out.
    cursor.execute(f"CREATE TABLE {partition} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    cursor.execute(
        f"WITH moved AS (DELETE FROM {default} WHERE {column} >= %s AND {column} < %s RETURNING *) "  # noqa: S608
        f"INSERT INTO {partition} SELECT * FROM moved",
        [month.start, month.end],
    )
    cursor.execute(
        f"ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES FROM (%s) TO (%s)", [month.start, month.end]
    )
    return True
