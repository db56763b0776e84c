"""Native partitions: made ahead of their time, and filled from DEFAULT where rows were quicker.

Rows for which there is no partition go to the DEFAULT one, where they keep a partition of their time from being
attached. So partitions are made before their time comes, and rows that were quicker are moved.
Every function here does nothing to a hypertable.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from tradingdb.db_backend.periods import Period, period_of, periods_ahead
from tradingdb.db_backend.storage import Kind, Storage, TimeTable, qualified, storage_of, time_tables

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('partitions', 0))"
# Whoever waits for a strong lock holds up everybody who comes after, so a maintenance run gives up and comes again.
# Half of deadlock_timeout: where two wait for each other it is never the bot's transaction that PostgreSQL ends.
PATIENCE = "SET LOCAL lock_timeout = '500ms'"
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
    return [name for period in missing_periods(storage, periods) if (name := _make(table, storage, period))]


def missing_periods(storage: Storage, periods: Iterable[Period]) -> list[Period]:
    """Return the periods that have no partition; none where there are no native partitions."""
    if storage.kind is not Kind.PARTITIONS:
        return []
    # A table whose interval was changed has parts of the old length; no new one may overlap them.
    return [
        period
        for period in periods
        if not any(part.start < period.end and period.start < part.end for part in storage.parts)
    ]


def default_periods(table: TimeTable, now: datetime) -> list[tuple[Period, int]]:
    """Return the periods of the rows in DEFAULT that may have a partition, and how many rows each has.

    None before 2000, and none beyond those made ahead: they get theirs when their time comes near.
    """
    with connection.cursor() as cursor:
        storage = storage_of(cursor, table.name)
        if storage.default is None:
            return []
        column = cursor.db.ops.quote_name(table.column)
        *_, last = periods_ahead(table.unit, now)
        cursor.execute(
            f"SELECT date_trunc('{table.unit}', {column}, 'UTC') AS start, count(*) "  # noqa: S608 (names of ours)  # nosec B608
            f"FROM {qualified(cursor, storage.schema, storage.default)} WHERE {column} >= %s AND {column} < %s "
            "GROUP BY start ORDER BY start",
            [EARLIEST, last.end],
        )
        return [(period_of(table.unit, start), rows) for start, rows in cursor.fetchall()]


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
        # Writers wait at the table, where they look up its partitions after us. One that had chosen DEFAULT already
        # would be refused by it. Readers of other partitions go on, for the new one is made beside and attached.
        cursor.execute(f"LOCK TABLE ONLY {parent} IN SHARE ROW EXCLUSIVE MODE")
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
    # To move is no change: no trigger may refuse it, or record that the row is gone.
    cursor.execute(f"ALTER TABLE {default} DISABLE TRIGGER USER")
    cursor.execute(
        f"WITH moved AS (DELETE FROM {default} WHERE {column} >= %s AND {column} < %s RETURNING *) "  # noqa: S608 (names come from code)  # nosec B608
        f"INSERT INTO {partition} ({columns}) SELECT {columns} FROM moved",
        [period.start, period.end],
    )
    cursor.execute(f"ALTER TABLE {default} ENABLE TRIGGER USER")
