"""One round trip of many statements on an async psycopg connection: sent together, read together, waited for once.

`AsyncPipeline` polls the socket for each statement it sends and again for each result it reads, and ends with a round
trip of its own; a cursor for each statement costs as much again. For a fill both cost more than the statements. What
is used here is psycopg's (3.3, pinned below 3.4): libpq's pipeline mode, and the transformer that turns values into
parameters and results into values.
"""

from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from psycopg import adapt, generators, waiting
from psycopg._queries import _query2pg_nocache
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from bots.services.plan import Row, Sql

# The server ends a statement after 5 seconds by itself.
SILENCE_SECONDS = 10.0
Session = psycopg.AsyncConnection[Row]
# The server has another opinion of what was prepared: a migration changed a table, or a pooler changed the server.
OUTDATED = (psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidSqlStatementName)


class Text(NamedTuple):
    """A statement as PostgreSQL takes it, with the names of its parameters in their order."""

    query: bytes
    names: tuple[str, ...]
    formats: list[PyFormat]


class Message(NamedTuple):
    """A statement with its values as they travel."""

    text: str
    query: bytes
    types: tuple[int, ...]
    values: Sequence[Any]
    formats: Sequence[Any]


class Sent(NamedTuple):
    """A statement on its way: its name where it is prepared, and whether it is being prepared just now."""

    name: bytes | None
    is_new: bool


# A statement's text and the types of its parameters.
Key = tuple[str, tuple[int, ...]]


@lru_cache(maxsize=2048)
def text_of(statement: str) -> Text:
    """Return a statement with $1, $2, … for its %(name)s."""
    query, formats, names, _ = _query2pg_nocache(statement.encode(), "utf-8")
    return Text(query, tuple(names or ()), formats)


class Prepared:
    """What one session has prepared, by text and types of the parameters; a name is never used again.

    The number of distinct texts is bounded by the plans, so none is ever given back.
    """

    def __init__(self, session: Session) -> None:
        self.transformer: Transformer = adapt.Transformer(session)
        self.names: dict[Key, bytes] = {}
        # The result of a prepared statement cannot change; the server refuses to run it then.
        self.columns: dict[bytes, list[str]] = {}
        self._count = 0

    def next_name(self) -> bytes:
        self._count += 1
        return b"lane_%d" % self._count

    def forget_all(self) -> None:
        self.names.clear()
        self.columns.clear()


_prepared: "WeakKeyDictionary[Session, Prepared]" = WeakKeyDictionary()


async def round_trip(session: Session, statements: Sequence[Sql]) -> list[list[Row]]:
    """Send statements together and return the rows of each.

    Raises the error of the first statement that failed, once everything was read; the connection can be used on.
    A server that does not answer in time costs the connection.
    """
    prepared = _prepared.get(session)
    if prepared is None:
        prepared = _prepared[session] = Prepared(session)
    new: list[Key] = []
    try:
        return await session.wait(_exchange(session, prepared, statements, new), timeout=SILENCE_SECONDS)
    except psycopg.errors._WaitTimeout as e:
        # Frozen, or behind a cut line: nobody knows what it still does, so nobody may use this connection again.
        session.pgconn.finish()
        raise psycopg.OperationalError("PostgreSQL has fallen silent") from e
    except OUTDATED:
        prepared.forget_all()
        raise
    except psycopg.Error:
        # Behind a statement that failed the server prepared none; one that is there after all is in nobody's way.
        for key in new:
            prepared.names.pop(key, None)
        raise


def _exchange(
    session: Session, prepared: Prepared, statements: Sequence[Sql], new: list[Key]
) -> Generator[Any, Any, list[list[Row]]]:
    # Whatever cannot be told to PostgreSQL is found before anything is on its way.
    messages = [_message(prepared.transformer, statement) for statement in statements]
    connection = session.pgconn
    connection.enter_pipeline_mode()
    try:
        sent = [_send(session, prepared, message, new) for message in messages]
        connection.pipeline_sync()
        while connection.flush():
            if (yield waiting.Wait.RW) & waiting.Ready.R:
                # A server whose answers nobody takes stops reading.
                connection.consume_input()
        return (yield from _read(session, prepared, sent))
    finally:
        if connection.status == psycopg.pq.ConnStatus.OK:
            connection.exit_pipeline_mode()


def _message(transformer: Transformer, statement: Sql) -> Message:
    query, names, formats = text_of(statement.text)
    if not names:
        return Message(statement.text, query, (), [], [])
    given = statement.params
    values = transformer.dump_sequence([given[name] for name in names], formats)
    return Message(statement.text, query, transformer.types or (), values, transformer.formats or [])


def _send(session: Session, prepared: Prepared, message: Message, new: list[Key]) -> Sent:
    text, query, types, values, formats = message
    if session.prepare_threshold is None:
        session.pgconn.send_query_params(query, values, param_types=types, param_formats=formats)
        return Sent(None, False)
    key = (text, types)
    name = prepared.names.get(key)
    is_new = name is None
    if name is None:
        name = prepared.names[key] = prepared.next_name()
        new.append(key)
        session.pgconn.send_prepare(name, query, param_types=types)
    session.pgconn.send_query_prepared(name, values, param_formats=formats)
    return Sent(name, is_new)


def _read(session: Session, prepared: Prepared, sent: Sequence[Sent]) -> Generator[Any, Any, list[list[Row]]]:
    """Return the rows of every statement, or raise the first error there was, once all was read."""
    error: psycopg.Error | None = None
    found: list[list[Row]] = []
    for name, is_new in sent:
        if is_new:
            results = yield from generators.fetch_many(session.pgconn)
            error = error or _error(session, results)
        results = yield from generators.fetch_many(session.pgconn)
        error = error or _error(session, results)
        if error is None:
            found.append(_rows(prepared, name, results[0]))
    # The end of the pipeline.
    yield from generators.fetch_many(session.pgconn)
    if error is not None:
        raise error
    return found


def _error(session: Session, results: Sequence[PGresult]) -> psycopg.Error | None:
    status = results[0].status
    if status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        return None
    if status == ExecStatus.PIPELINE_ABORTED:
        return psycopg.errors.PipelineAborted("pipeline aborted")
    return psycopg.errors.error_from_result(results[0], encoding=session.pgconn._encoding)


def _rows(prepared: Prepared, name: bytes | None, result: PGresult) -> list[Row]:
    count = result.ntuples
    if not count:
        return []
    columns = None if name is None else prepared.columns.get(name)
    if columns is None:
        columns = [(result.fname(number) or b"").decode() for number in range(result.nfields)]
        if name is not None:
            prepared.columns[name] = columns
    prepared.transformer.set_pgresult(result)
    return prepared.transformer.load_rows(0, count, lambda values: dict(zip(columns, values, strict=True)))
