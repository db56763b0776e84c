"""One round trip of many statements on an async psycopg connection: sent together, read together, waited for once.

`AsyncPipeline` polls the socket for each statement it sends and again for each result it reads, and ends with a round
trip of its own; for a fill those waits cost more than the statements. The steps here are psycopg's own (3.3, pinned
below 3.4), in an order that waits only while the server is at work.
"""

from collections.abc import Generator, Sequence
from typing import Any

import psycopg
from psycopg import generators, waiting

from bots.services.plan import Row, Sql

# The server ends a statement after 5 seconds by itself.
SILENCE_SECONDS = 10.0
Session = psycopg.AsyncConnection[Row]


async def round_trip(session: Session, statements: Sequence[Sql]) -> list[list[Row]]:
    """Send statements together and return the rows of each.

    Raises the error of the first statement that failed, once everything was read; the connection can be used on.
    A server that does not answer in time costs the connection.
    """
    cursors = [session.cursor() for _ in statements]
    named_before = session._prepared._prepared_idx
    try:
        await session.wait(_exchange(session, cursors, statements), timeout=SILENCE_SECONDS)
    except psycopg.errors._WaitTimeout as e:
        # Frozen, or behind a cut line: nobody knows what it still does, so nobody may use this connection again.
        session.pgconn.finish()
        raise psycopg.OperationalError("PostgreSQL has fallen silent") from e
    except psycopg.Error:
        _forget(session, named_before)
        raise
    return [await cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else [] for cursor in cursors]


def _forget(session: Session, named_before: int) -> None:
    """Forget the statements that were to be prepared just now: behind one that failed the server prepared none.

    psycopg looks at those only that it sees for the first time. Names are never used again, so one that is there
    after all is in nobody's way.
    """
    names = session._prepared._names
    for key in [key for key, name in names.items() if int(name.rpartition(b"_")[2]) >= named_before]:
        del names[key]


def _exchange(
    session: Session, cursors: Sequence[psycopg.AsyncCursor[Row]], statements: Sequence[Sql]
) -> Generator[Any, Any, None]:
    pipeline = session._pipeline = psycopg.AsyncPipeline(session)
    try:
        yield from pipeline._enter_gen()
        for cursor, statement in zip(cursors, statements, strict=True):
            yield from cursor._start_query(statement.text)
            query = cursor._convert_query(statement.text, statement.params)
            # The number of distinct texts stays below what a connection keeps prepared.
            yield from cursor._maybe_prepare_gen(query, prepare=None, binary=None)
        pipeline._enqueue_sync()
        while pipeline.command_queue:
            pipeline.command_queue.popleft()()
        while session.pgconn.flush():
            if (yield waiting.Wait.RW) & waiting.Ready.R:
                # A server whose answers nobody takes stops reading.
                session.pgconn.consume_input()
        yield from _read(session, pipeline)
    finally:
        pipeline._exit(None)
        session._pipeline = None


def _read(session: Session, pipeline: psycopg.AsyncPipeline) -> Generator[Any, Any, None]:
    """Give every result to its cursor, then raise the first error there was."""
    error: psycopg.Error | None = None
    while pipeline.result_queue:
        results = yield from generators.fetch_many(session.pgconn)
        try:
            pipeline._process_results(pipeline.result_queue.popleft(), results)
        except psycopg.Error as e:
            error = error or e
    if error is not None:
        raise error
