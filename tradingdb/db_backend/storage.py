"""How a time-series table is really stored, read from the catalog: hypertable, native partitions, or neither.

Asked of each table, not of the server: a database that moved to a server with TimescaleDB keeps its partitions.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, cast

from django.apps import apps
from django.db import connection
from django.db.backends.utils import CursorWrapper
from timescale.db.models.fields import TimescaleDateTimeField

from tradingdb.db_backend.base import DatabaseWrapper
from tradingdb.db_backend.periods import Unit, unit_of

BOUNDS = re.compile(r"FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)")
RELATION = """
    SELECT n.nspname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(%s)
"""
PARTITIONS = """
    SELECT n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = to_regclass(%s)
"""
HYPERTABLE = """
    SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_schema = %s AND hypertable_name = %s
"""
CHUNKS = """
    SELECT chunk_schema, chunk_name, range_start, range_end FROM timescaledb_information.chunks
    WHERE hypertable_schema = %s AND hypertable_name = %s
"""


class TimeTable(NamedTuple):
    """A time-series table as its model declares it; unit: what a native partition holds, key: the column of its ids."""

    name: str
    column: str
    unit: Unit
    key: str


class Part(NamedTuple):
    """One partition or chunk; it holds the rows from `start` until before `end`. Ordered by time."""

    start: datetime
    end: datetime
    schema: str
    name: str


class Kind(StrEnum):
    """What keeps the rows."""

    HYPERTABLE = "hypertable"
    PARTITIONS = "partitions"
    TABLE = "ordinary table"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Storage:
    """Kind, schema and parts of one table; `default` is the name of the DEFAULT partition, where there is one."""

    kind: Kind
    schema: str = ""
    parts: tuple[Part, ...] = ()
    default: str | None = None


def time_tables() -> list[TimeTable]:
    """Return the tables whose model has a time-series field, by name."""
    found = {
        TimeTable(model._meta.db_table, field.column, unit_of(field.interval), str(model._meta.pk.column))
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, TimescaleDateTimeField) and model._meta.managed
    }
    return sorted(found)


def storage_of(cursor: CursorWrapper, table: str) -> Storage:
    """Return how a table is stored now. A part without an end on either side is not ours and is left out."""
    cursor.execute(RELATION, [table])
    row = cursor.fetchone()
    if row is None:
        return Storage(Kind.MISSING)
    schema, relkind = row
    if relkind == "p":
        return _partitioned(cursor, table, schema)
    if cast(DatabaseWrapper, cursor.db).has_timescaledb:
        cursor.execute(HYPERTABLE, [schema, table])
        if cursor.fetchone():
            cursor.execute(CHUNKS, [schema, table])
            parts = [Part(start, end, chunk_schema, name) for chunk_schema, name, start, end in cursor.fetchall()]
            return Storage(Kind.HYPERTABLE, schema, tuple(sorted(parts)))
    return Storage(Kind.TABLE, schema)


def _partitioned(cursor: CursorWrapper, table: str, schema: str) -> Storage:
    cursor.execute(PARTITIONS, [table])
    parts, default = [], None
    for part_schema, name, bound in cursor.fetchall():
        found = BOUNDS.fullmatch(bound)
        if found:
            start, end = map(datetime.fromisoformat, found.groups())
            parts.append(Part(start, end, part_schema, name))
        elif bound == "DEFAULT":
            default = name
    return Storage(Kind.PARTITIONS, schema, tuple(sorted(parts)), default)


def qualified(cursor: CursorWrapper, schema: str, name: str) -> str:
    """Return schema and table quoted for SQL."""
    quote = cursor.db.ops.quote_name
    return f"{quote(schema)}.{quote(name)}"


class DefaultRows(NamedTuple):
    """What lies in the DEFAULT partition of a table, which is named with its schema."""

    table: str
    rows: int
    oldest: datetime | None
    newest: datetime | None


def default_rows(table: TimeTable) -> DefaultRows:
    """Return what lies in the DEFAULT partition; zero rows where there is none."""
    with connection.cursor() as cursor:
        storage = storage_of(cursor, table.name)
        name = f"{storage.schema}.{table.name}"
        if storage.default is None:
            return DefaultRows(name, 0, None, None)
        column = cursor.db.ops.quote_name(table.column)
        relation = qualified(cursor, storage.schema, storage.default)
        cursor.execute(f"SELECT count(*), min({column}), max({column}) FROM {relation}")  # noqa: S608 (names come from code)  # nosec B608
        return DefaultRows(name, *cursor.fetchone())
