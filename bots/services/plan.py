"""Plans: a service written once, as a generator that yields SQL and receives rows, and driven by two shells.

The sync shell runs it on Django's connection (scripts, importers, admin, tests); the async lane runs the same plan on
a psycopg pool, each step as one pipelined round trip. A plan decides, the shell owns the transaction.
"""

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

from django.db import DatabaseError, IntegrityError, OperationalError, connections, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.types.json import Jsonb

from bots.ledger.content import canonical_json
from bots.ledger.shapes import FILL, ORDER, POSITION, TRADE
from bots.live.publish import LiveUpdate, publish
from bots.services.scope import bot_scope
from tradingdb.lib.errors import DomainError, Unavailable
from tradingdb.lib.retry import ATTEMPTS, is_transient, pause

T = TypeVar("T")
Row = dict[str, Any]
JSONB_OID = 3802
# What a write of a ledger row gives back: half of its columns are never looked at again.
RETURNED = {
    "orders": ORDER,
    "fills": FILL,
    "positions": POSITION,
    "trades": tuple(name for name in TRADE if name != "net_pnl"),
}
# Types that psycopg takes as they are: nearly every parameter.
TAKEN = frozenset({str, int, bool, Decimal, datetime, bytes, list, type(None)})


class Sql(NamedTuple):
    """One statement with its named parameters."""

    text: str
    params: dict[str, Any]


Plan = Generator[Sequence[Sql], list[list[Row]], T]


class Last(list[Sql]):
    """A step after which a plan only answers; the async shell sends the commit along with it."""


def within(plan: Plan[T]) -> Plan[T]:
    """Run a plan as a part of another one: none of its steps is the last of the transaction."""
    rows: Any = None
    while True:
        try:
            step = plan.send(rows)
        except StopIteration as stop:
            result: T = stop.value
            return result
        rows = yield list(step)


class TryAgain(Exception):
    """The plan met a change made meanwhile; roll back and run it anew."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write did: HTTP status, the stored object as the wire shows it, and what the live layer must hear.

    An outcome with an `error` is committed as well (a conflict keeps both bodies, a refused order is stored);
    the shell raises the error after the commit.
    """

    status: int
    body: dict[str, Any]
    replayed: bool = False
    error: DomainError | None = None
    updates: tuple[LiveUpdate, ...] = field(default=(), repr=False)


def run(make: Callable[[], Plan[Outcome]], *, using: str = "default", bot_id: str | None = None) -> Outcome:
    """Run a plan on Django's connection, in a transaction; what it changed is published after the commit.

    With `bot_id` it runs with the rights and on the rows of that bot alone.

    Deadlocks, races for a unique key and lost serialisations are run again, at most three times.
    Inside an outer transaction they are the caller's, since the outer one is spoilt. Raises Unavailable when a change
    made meanwhile was met every time.
    """
    nested = connections[using].in_atomic_block
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with bot_scope(bot_id, using=using) if bot_id is not None else transaction.atomic(using=using):
                outcome = drive(make(), using=using)
                if outcome.updates:
                    transaction.on_commit(partial(publish, outcome.updates), using=using)
            break
        except TryAgain as e:
            if attempt == ATTEMPTS:
                raise overtaken() from e
        except (OperationalError, IntegrityError) as e:
            if nested or attempt == ATTEMPTS or not is_transient(e.__cause__):
                raise
            time.sleep(pause(attempt))
    if outcome.error is not None:
        raise outcome.error
    return outcome


def overtaken() -> Unavailable:
    """Return the 503 for a plan that met a change made meanwhile every time."""
    return Unavailable("Too much changes here at once; send the same call again.")


def drive(plan: Plan[T], *, using: str = "default") -> T:
    """Send each step of a plan through one Django cursor, inside the caller's transaction."""
    with connections[using].cursor() as cursor:
        try:
            step = next(plan)
            while True:
                try:
                    rows = [_rows(cursor, statement) for statement in step]
                except DatabaseError as e:
                    # A plan may know better (a batch goes on with the next operation); most let it pass.
                    step = plan.throw(e)
                else:
                    step = plan.send(rows)
        except StopIteration as stop:
            result: T = stop.value
            return result


def _rows(cursor: CursorWrapper, statement: Sql) -> list[Row]:
    cursor.execute(statement.text, statement.params)
    if cursor.description is None:
        return []
    names = [column.name for column in cursor.description]
    # Django's connection hands jsonb over as text.
    jsons = [column.name for column in cursor.description if column.type_code == JSONB_OID]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows if jsons else ():
        for name in jsons:
            if row[name] is not None:
                row[name] = json.loads(row[name])
    return rows


def insert(table: str, values: Mapping[str, Any], *, suffix: str | None = None) -> Sql:
    """Build an INSERT of one row; the text depends on the column names alone, so it is prepared once.

    Without a suffix it returns the row, of the ledger's large tables what their wire form shows.
    """
    return Sql(_insert_text(table, tuple(values), suffix), {name: param(value) for name, value in values.items()})


@lru_cache(maxsize=256)
def _insert_text(table: str, columns: tuple[str, ...], suffix: str | None) -> str:
    suffix = f"RETURNING {_returned(table)}" if suffix is None else suffix
    names = ", ".join(f'"{name}"' for name in columns)
    places = ", ".join(f"%({name})s" for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({places}) {suffix}"  # noqa: S608 (names come from code)  # nosec B608


def _returned(table: str) -> str:
    columns = RETURNED.get(table)
    return "*" if columns is None else ", ".join(f'"{name}"' for name in columns)


def update(table: str, values: Mapping[str, Any], *, where: str, keys: Mapping[str, Any], also: str = "") -> Sql:
    """Build an UPDATE that returns its rows as an INSERT does; `where` names the keys as %(name)s.

    `also` sets columns by expression. Keys and columns must not share names.
    """
    text = _update_text(table, tuple(values), where, also)
    return Sql(text, {**{name: param(value) for name, value in values.items()}, **keys})


@lru_cache(maxsize=256)
def _update_text(table: str, columns: tuple[str, ...], where: str, also: str) -> str:
    sets = ", ".join([*(f'"{name}" = %({name})s' for name in columns), *([also] if also else [])])
    return f"UPDATE {table} SET {sets} WHERE {where} RETURNING {_returned(table)}"  # noqa: S608 (names come from code)  # nosec B608


def param(value: Any) -> Any:
    """Return a Python value as psycopg takes it: objects as jsonb, members of closed sets as their text."""
    if type(value) in TAKEN:
        return value
    if isinstance(value, Mapping):
        return Jsonb(value, dumps=canonical_json)
    if isinstance(value, Enum):
        return value.value
    return value
