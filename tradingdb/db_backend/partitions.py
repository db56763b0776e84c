"""Native partitions: made ahead of their time, filled from DEFAULT where rows were quicker, and dropped.

Rows for which there is no partition go to the DEFAULT one, where they keep a partition of their time from being
attached. So partitions are made before their time comes, and rows that were quicker are moved.
Every function here does nothing to a hypertable.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from tradingdb.db_backend.periods import Period, period_of, periods_ahead
from tradingdb.db_backend.storage import Kind, Part, Storage, TimeTable, qualified, storage_of, time_tables

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('partitions', 0))"
# Whoever waits for a strong lock holds up everybody who comes after; a maintenance run gives up and comes again.
PATIENCE = "SET LOCAL lock_timeout = '1s'"
# Times before this are taken for mistakes: they get no partition and stay where staff are told of them.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def ensure_partitions(now: datetime) -> list[str]:
    """Make the partitions of now and of the time ahead, for every table; return the new ones' names. Safe to repeat.

    Raises OperationalError when a table stays locked.
    """
    return [name for table in time_tables() for name in make_ahead(table, now)]


def make_ahead(table: TimeTable, now: datetime) -> list[str]:
    """Make the partitions of one table for now and the time ahead; return the names of the new ones."""
    return make_partitions(table, periods_ahead(table.unit, now))


def make_partitions(table: TimeTable, periods: Iterable[Period]) -> list[str]:
    """Make the partitions of these periods that are not there, each in a transaction; return the names of the new ones.

    Rows of a new partition's period that lie in the DEFAULT partition are moved in the same transaction.
    """
    with connection.cursor() as cursor:
        storage = storage_of(cursor, table.name)
    if storage.kind is not Kind.PARTITIONS:
        return []
    # A table whose interval was changed has parts of the old length; no new one may overlap them.
    missing = [
        period for period in periods if not any(p.start < period.end and period.start < p.end for p in storage.parts)
    ]
    return [name for period in missing if (name := _make(table, storage, period))]


def default_periods(table: TimeTable, now: datetime) -> list[Period]:
    """Return the periods of the rows in DEFAULT that may have a partition: none before 2000, none beyond those ahead.

    Later ones get theirs when their time comes near.
    """
    with connection.cursor() as cursor:
        storage = storage_of(cursor, table.name)
        if storage.default is None:
            return []
        column = cursor.db.ops.quote_name(table.column)
        *_, last = periods_ahead(table.unit, now)
        cursor.execute(
            f"SELECT DISTINCT date_trunc('{table.unit}', {column}, 'UTC') "  # noqa: S608 (names come from the catalog)
            f"FROM {qualified(cursor, storage.schema, storage.default)} WHERE {column} >= %s AND {column} < %s",
            [EARLIEST, last.end],
        )
        return sorted(period_of(table.unit, start) for (start,) in cursor.fetchall())


def _make(table: TimeTable, storage: Storage, period: Period) -> str | None:
    """Make one partition in a transaction and return its name; None when it is there meanwhile."""
    name = f"{table.name}_{period.suffix}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(PATIENCE)
        parent, partition = (qualified(cursor, storage.schema, relation) for relation in (table.name, name))
        cursor.execute("SELECT to_regclass(%s)", [partition])
        if cursor.fetchone()[0] is not None:
            return None
        if storage.default is not None:
            # Until the commit nothing may come into DEFAULT that belongs to the new partition.
            cursor.execute(f"LOCK TABLE {qualified(cursor, storage.schema, storage.default)} IN ACCESS EXCLUSIVE MODE")
        # Made beside the table and attached: this does not lock readers and writers of the other partitions out.
        cursor.execute(
            f"CREATE TABLE {partition} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED)"
        )
        if storage.default is not None:
            _move(cursor, table, qualified(cursor, storage.schema, storage.default), partition, period)
        cursor.execute(
            f"ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES FROM (%s) TO (%s)",
            [period.start, period.end],
        )
    return name


def _move(cursor: CursorWrapper, table: TimeTable, default: str, partition: str, period: Period) -> None:
    column = cursor.db.ops.quote_name(table.column)
    cursor.execute(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        [default],
    )
    columns = cursor.fetchone()[0]
    cursor.execute(
        f"WITH moved AS (DELETE FROM {default} WHERE {column} >= %s AND {column} < %s RETURNING *) "  # noqa: S608
        f"INSERT INTO {partition} ({columns}) SELECT {columns} FROM moved",
        [period.start, period.end],
    )


def detach_and_drop(cursor: CursorWrapper, table: TimeTable, storage: Storage, part: Part) -> None:
    """Drop one partition inside the caller's transaction, which holds the table for some milliseconds.

    DETACH … CONCURRENTLY would hold nobody up, but PostgreSQL refuses it beside a DEFAULT partition.
    """
    parent, partition = qualified(cursor, storage.schema, table.name), qualified(cursor, part.schema, part.name)
    cursor.execute(f"ALTER TABLE {parent} DETACH PARTITION {partition}")
    cursor.execute(f"DROP TABLE {partition}")
