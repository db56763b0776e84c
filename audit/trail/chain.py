"""What a seal is made of: the hash of a change, the changes of a seal, the hash of the seal. Shared by both sides.

All in plain SQL of PostgreSQL's own functions: one of ours in the database could be replaced there.
"""

# ruff: noqa: S608 (the queries are put together from our own text alone)

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

FIRST = bytes(32)
# Bytes of a mark: the change's id, and the beginning of its hash.
MARK, MARK_ID = 16, 8
# A row as text quotes what must be quoted; `one_moment` fixes the settings that change how a value is written.
LEAF = """sha256(convert_to(ROW(c.id, c.xid, c.at, c.actor, c.login, c.request_id, c.reason, c.table_name, c.row_id,
    c.operation, c.before, c.after, c.form, c.digest)::text, 'UTF8'))"""
# Of one or many seals `s`: number, low, high, running, waited, floor, ceiling.
MEMBERS = f"""
    SELECT s.number, c.id, c.xid, c.at, {LEAF} AS leaf FROM s JOIN audit.changes c
        ON c.xid >= s.low AND c.xid < s.high AND c.id > s.floor AND c.id <= s.ceiling
    WHERE NOT c.xid = ANY (s.running) AND NOT c.id = ANY (%(apart)s)
    UNION ALL
    SELECT s.number, c.id, c.xid, NULL, {LEAF} FROM s CROSS JOIN unnest(s.waited) AS w JOIN audit.changes c
        ON c.xid = w AND c.id > s.floor AND c.id <= s.ceiling
    WHERE NOT c.id = ANY (%(apart)s)
"""  # no value stands in it  # nosec B608
# Changes that were there before a restored database counted transactions anew, by their ids.
LISTED = f"""
    SELECT %(number)s AS number, c.id, c.xid, NULL::timestamptz AS at, {LEAF} AS leaf FROM audit.changes c
    WHERE c.id = ANY (%(ids)s)
"""  # no value stands in it  # nosec B608
SUMS = """
    SELECT number, count(*), sha256(coalesce(string_agg(leaf, ''::bytea ORDER BY xid, id), ''::bytea)),
        coalesce(string_agg(int8send(id) || substr(leaf, 1, 8), ''::bytea ORDER BY xid, id), ''::bytea),
        min(at), max(at)
    FROM members GROUP BY number
"""
NO_END = 2**62


@dataclass(frozen=True, slots=True)
class Link:
    """A seal's content. `running` and `waited` are transaction numbers in order."""

    number: int
    kind: str
    sealed_at: datetime
    cluster: str
    low: int
    high: int
    running: tuple[int, ...]
    waited: tuple[int, ...]
    floor: int
    rows: int
    root: bytes
    marks: bytes
    previous: bytes

    def hash(self) -> bytes:
        """Return the hash over everything."""
        words: list[Any] = [
            self.number, self.kind, self.sealed_at.isoformat(), self.cluster, self.low, self.high, self.running,
            self.waited, self.floor, self.rows, self.root.hex(), sha256(self.marks).hexdigest(), self.previous.hex(),
        ]  # fmt: skip
        return sha256(json.dumps(words, separators=(",", ":")).encode()).digest()


@dataclass(frozen=True, slots=True)
class Sums:
    """What the changes of a seal come to."""

    rows: int
    root: bytes
    marks: bytes
    earliest: datetime | None
    latest: datetime | None


NOTHING = Sums(0, sha256(b"").digest(), b"", None, None)


def sums_of(cursor: CursorWrapper, link: Link) -> Sums:
    """Return what the changes of one seal that is being made come to."""
    cursor.execute(
        "WITH s AS (SELECT %(number)s AS number, %(low)s::bigint AS low, %(high)s::bigint AS high, "
        "%(running)s::bigint[] AS running, %(waited)s::bigint[] AS waited, %(floor)s::bigint AS floor, "
        f"%(end)s::bigint AS ceiling), members AS ({MEMBERS}) {SUMS}",
        {"number": link.number, "low": link.low, "high": link.high, "running": list(link.running),
         "waited": list(link.waited), "floor": link.floor, "end": NO_END, "apart": []},
    )  # fmt: skip
    row = cursor.fetchone()
    return NOTHING if row is None else Sums(row[1], bytes(row[2]), bytes(row[3]), row[4], row[5])


def sums_of_listed(cursor: CursorWrapper, number: int, ids: Sequence[int]) -> Sums:
    """Return what changes that are listed by their ids come to."""
    cursor.execute(f"WITH members AS ({LISTED}) {SUMS}", {"number": number, "ids": list(ids)})
    row = cursor.fetchone()
    return NOTHING if row is None else Sums(row[1], bytes(row[2]), bytes(row[3]), None, None)


def unpacked(marks: bytes) -> dict[int, bytes]:
    """Return the marks of a seal by id."""
    return {
        int.from_bytes(marks[at : at + MARK_ID], signed=True): marks[at + MARK_ID : at + MARK]
        for at in range(0, len(marks), MARK)
    }


@contextmanager
def one_moment(seconds: int, *, reads_only: bool) -> Iterator[CursorWrapper]:
    """One snapshot of the database, with time to look at all of it; inside a transaction of the caller, that one's."""
    is_nested = connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if not is_nested:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ" + (", READ ONLY" if reads_only else ""))
        cursor.execute(
            f"SET LOCAL statement_timeout = '{seconds}s'; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'; "
            "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL bytea_output = 'hex'; "
            "SET LOCAL extra_float_digits = 1"
        )
        yield cursor


def now_in(cursor: CursorWrapper) -> tuple[datetime, int, tuple[int, ...], str]:
    """Return time, first transaction not begun, those still open, and the identifier of the cluster."""
    cursor.execute("SELECT now(), pg_current_snapshot()::text, system_identifier::text FROM pg_control_system()")
    at, snapshot, cluster = cursor.fetchone()
    _, high, running = snapshot.split(":")
    return at, int(high), tuple(sorted(int(each) for each in running.split(",") if each)), cluster
