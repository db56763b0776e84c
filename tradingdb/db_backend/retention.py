"""What is old enough to go: whole parts, or single rows where a policy speaks of some rows only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from tradingdb.db_backend.partitions import LOCK, PATIENCE
from tradingdb.db_backend.policies import Policy
from tradingdb.db_backend.storage import Kind, Part, Storage, TimeTable, qualified, storage_of

# Rows that one statement deletes: some tens of milliseconds, and a WAL record size that replicas follow easily.
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Dropped:
    """A part that is gone. rows: as the statistics knew them; None when they were never collected."""

    part: Part
    size_bytes: int
    rows: int | None


def cutoff(policy: Policy, now: datetime) -> datetime | None:
    """Return the moment before which the policy lets rows go; None when it keeps all."""
    if policy.keep is None:
        return None
    with connection.cursor() as cursor:
        # PostgreSQL counts: a month before 31 March is the last of February, in the connection's UTC.
        cursor.execute("SELECT %s::timestamptz - %s::interval", [now, policy.keep])
        moment: datetime = cursor.fetchone()[0]
    return moment


def droppable(table: TimeTable, policy: Policy, before: datetime) -> list[Part]:
    """Return the parts that may be dropped, oldest first: all their rows are older than `before`.

    Where the policy speaks of single rows, only the parts in which none is left.
    """
    with connection.cursor() as cursor:
        storage = storage_of(cursor, table.name)
        old = [part for part in storage.parts if part.end <= before]
        return [part for part in old if policy.takes_whole_parts or _is_empty(cursor, part)]


@transaction.atomic
def drop_part(table: TimeTable, policy: Policy, part: Part) -> Dropped | None:
    """Drop one part; None when it is gone already, or got rows that the policy keeps.

    Holds the table for some milliseconds. Raises OperationalError when somebody else holds it for longer than PATIENCE.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(PATIENCE)
        storage = storage_of(cursor, table.name)
        if part not in storage.parts:
            return None
        # Writers go through the table: they wait for it, not for the part that goes.
        held = (storage.schema, table.name) if storage.kind is Kind.PARTITIONS else (part.schema, part.name)
        cursor.execute(f"LOCK TABLE ONLY {qualified(cursor, *held)} IN ACCESS EXCLUSIVE MODE")
        if not (policy.takes_whole_parts or _is_empty(cursor, part)):
            return None
        dropped = _measured(cursor, storage, part)
        if storage.kind is Kind.PARTITIONS:
            # Not detached before: that locks the tables its foreign keys point at, `bots` above all, against everybody.
            cursor.execute(f"DROP TABLE {qualified(cursor, part.schema, part.name)}")
        else:
            cursor.execute(
                "SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz, newer_than => %s::timestamptz)",
                [qualified(cursor, storage.schema, table.name), part.end, part.start],
            )
        return dropped


def delete_old_rows(table: TimeTable, policy: Policy, before: datetime) -> Iterator[int]:
    """Delete, batch by batch, the rows that the policy lets go one by one; yield how many each batch had.

    Those are the rows of a policy over single rows, and rows that lie in DEFAULT, which is never dropped.
    """
    with connection.cursor() as cursor:
        storage = storage_of(cursor, table.name)
        for relation, bounds in _places(cursor, table, storage, policy, before):
            while deleted := _delete_from(cursor, table, policy, relation, {"before": before, **bounds}):
                yield deleted


def has_old_rows(table: TimeTable, policy: Policy, before: datetime) -> bool:
    """Whether delete_old_rows would find any."""
    with connection.cursor() as cursor:
        storage = storage_of(cursor, table.name)
        for relation, bounds in _places(cursor, table, storage, policy, before):
            _, old, values = _rules(cursor, table, policy, {"before": before, **bounds})
            cursor.execute(f"SELECT EXISTS (SELECT FROM {relation} WHERE {old})", values)  # noqa: S608 (names come from code)  # nosec B608
            if cursor.fetchone()[0]:
                return True
    return False


def _places(
    cursor: CursorWrapper, table: TimeTable, storage: Storage, policy: Policy, before: datetime
) -> list[tuple[str, dict[str, datetime]]]:
    """Where old rows may lie that no dropped part takes along: the relation to delete from, and its range."""
    whole = qualified(cursor, storage.schema, table.name)
    places: list[tuple[str, dict[str, datetime]]] = []
    if storage.default is not None:
        places.append((qualified(cursor, storage.schema, storage.default), {}))
    if not policy.takes_whole_parts:
        for part in storage.parts:
            if part.start < before:
                # Rows of a chunk may be compressed, so they are reached through the hypertable.
                relation = qualified(cursor, part.schema, part.name) if storage.kind is Kind.PARTITIONS else whole
                places.append((relation, {"start": part.start, "end": part.end}))
    return places


def _delete_from(
    cursor: CursorWrapper, table: TimeTable, policy: Policy, relation: str, values: Mapping[str, Any]
) -> int:
    within, old, values = _rules(cursor, table, policy, values)
    names = ", ".join(map(cursor.db.ops.quote_name, (table.key, table.column)))
    cursor.execute(
        f"DELETE FROM {relation} WHERE {within} AND ({names}) IN "  # noqa: S608 (names come from code)  # nosec B608
        f"(SELECT {names} FROM {relation} WHERE {old} LIMIT {BATCH})",
        values,
    )
    return int(cursor.rowcount)


def _rules(
    cursor: CursorWrapper, table: TimeTable, policy: Policy, values: Mapping[str, Any]
) -> tuple[str, str, dict[str, Any]]:
    """Return two conditions and their values: the range that is looked at, and which rows in it may go."""
    quote = cursor.db.ops.quote_name
    column, values = quote(table.column), dict(values)
    rules = [f"{column} < %(before)s"]
    if "start" in values:
        rules.append(f"{column} >= %(start)s AND {column} < %(end)s")
    within = " AND ".join(rules)
    if policy.stored_at is not None:
        rules.append(f"{quote(policy.stored_at)} < %(before)s")
    for number, (name, wanted) in enumerate(policy.only.items()):
        values[f"only{number}"] = list(wanted)
        rules.append(f"{quote(name)} = ANY(%(only{number})s)")
    return within, " AND ".join(rules), values


def _is_empty(cursor: CursorWrapper, part: Part) -> bool:
    cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {qualified(cursor, part.schema, part.name)})")  # noqa: S608 (names come from code)  # nosec B608
    return bool(cursor.fetchone()[0])


def _measured(cursor: CursorWrapper, storage: Storage, part: Part) -> Dropped:
    name = qualified(cursor, part.schema, part.name)
    cursor.execute(
        "SELECT pg_total_relation_size(c.oid), c.reltuples::bigint FROM pg_class c WHERE c.oid = to_regclass(%s)",
        [name],
    )
    size, rows = cursor.fetchone()
    return Dropped(part, size, rows if rows >= 0 else None)
