"""The async shell: runs plans on a psycopg pool, each step as one pipelined round trip, for the bots' hot calls."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from bots.live.publish import LiveUpdate, apublish
from bots.services.context import COLUMNS, BotContext, context_from
from bots.services.pipeline import SILENCE_SECONDS, round_trip
from bots.services.plan import Last, Outcome, Plan, Row, Sql, TryAgain, overtaken
from tradingdb.lib.bounds import REQUESTS, SOCKET
from tradingdb.lib.db import SEARCH_PATH
from tradingdb.lib.errors import Unavailable, ValidationFailed
from tradingdb.lib.gate import LANE, Bucket, Gate
from tradingdb.lib.retry import ATTEMPTS, is_transient, pause, unavailable_of
from tradingdb.lib.tokens import TokenRow

logger = logging.getLogger(__name__)

BEGIN = Sql("BEGIN", {})
COMMIT = Sql("COMMIT", {})
# Both end with the transaction: no plain SET, which would reach the next client of a shared session.
FOR_BOT = "SELECT set_config('app.bot_id', %(bot)s, true), set_config('app.request_id', %(request)s, true)"
FOR_CALLER = "SELECT set_config('app.bot_id', coalesce(bot_of_token(%(prefix)s), ''), true)"
GUARD = f"""
    SELECT t.prefix, t.digest, t.pepper, t.scopes, t.expires_at, t.revoked_at, {COLUMNS}
    FROM bot_tokens t JOIN bots b ON b.bot_id = t.bot_id WHERE t.prefix = %(prefix)s
"""  # noqa: S608 (columns come from code)  # nosec B608
USED = """
    UPDATE bot_tokens SET last_used_at = now() WHERE prefix = %(prefix)s
        AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""
# Every wait has an end: a bot hears "try again" rather than nothing.
OPTIONS = (
    f"-c search_path={','.join(SEARCH_PATH)} -c timezone=UTC -c application_name=tradingdb-lane {REQUESTS.options()}"
)
WAIT_FOR_CONNECTION_SECONDS = 2.0
# A connection that cannot be made is tried once more after this time and then given up; the next call tries anew.
# The pool's own way, ever longer pauses, would find a server late that is back.
RECONNECT_SECONDS = 0.2
USE_SECONDS = 60.0


class KeyChanged(Exception):
    """The token or its bot is not what it was when the call began."""


@dataclass(frozen=True, slots=True)
class Key:
    """A token as last seen, with the bot it opens. Every transaction reads it anew and compares."""

    row: Row = field(repr=False)

    @property
    def token(self) -> TokenRow:
        row = self.row
        return TokenRow(
            prefix=row["prefix"],
            owner=row["bot_id"],
            digest=bytes(row["digest"]),
            pepper=row["pepper"],
            expires_at=row["expires_at"],
            revoked_at=row["revoked_at"],
            scopes=frozenset(row["scopes"]),
        )

    @property
    def bot(self) -> BotContext:
        return context_from(self.row)


class Shell:
    """One per process and event loop: the pool, and the publisher that speaks to Redis after each commit."""

    def __init__(self, *, size: int) -> None:
        self.gate = Gate("lane", size, LANE)
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Row]] = AsyncConnectionPool(
            conninfo(),
            min_size=1,
            max_size=size,
            open=False,
            timeout=WAIT_FOR_CONNECTION_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            reconnect_failed=_knock_on,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                **SOCKET,
                **({} if settings.PGBOUNCER else {"options": OPTIONS}),
                "prepare_threshold": 2 if settings.LANE_PREPARES else None,
            },
            configure=_configure,
            check=None,
        )
        self.gate.pool_stats = self._pool.get_stats
        self._updates: asyncio.Queue[Sequence[LiveUpdate]] = asyncio.Queue()
        self._publisher: asyncio.Task[None] | None = None
        self._used_at: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the pool without waiting for the database: it may come later."""
        await self._pool.open(wait=False)
        self._publisher = asyncio.create_task(self._publish_all())

    async def close(self) -> None:
        """Publish what is left, then close every connection."""
        await self._updates.join()
        if self._publisher is not None:
            self._publisher.cancel()
        await self._pool.close(timeout=5)

    async def read_key(self, prefix: str) -> Key | None:
        """Read a token and its bot; None when there is no such token."""
        try:
            async with self.gate.enter("keys"), self._pool.connection() as session:
                asked = {"prefix": prefix}
                _, _, rows, _ = await round_trip(session, [BEGIN, Sql(FOR_CALLER, asked), Sql(GUARD, asked), COMMIT])
        except psycopg.Error as e:
            if (answer := unavailable(e)) is not None:
                raise answer from e
            raise
        return Key(rows[0]) if rows else None

    async def run(
        self, key: Key, make: Callable[[BotContext], Plan[Outcome]], bucket: Bucket = "facts", *, request_id: str = ""
    ) -> Outcome:
        """Run a plan for a bot in one transaction; what it changed is published after the commit.

        bucket: whose connections it may use; request_id: for the audit trail.
        Raises KeyChanged when the token was revoked or the bot edited meanwhile, Unavailable when the database cannot
        answer in time or others go first, StorageFull when it has no room.
        Deadlocks and races for an id are run again, at most three times.
        """
        async with self.gate.enter(bucket):
            outcome = await self._attempts(key, make, request_id)
        if outcome.updates:
            self._updates.put_nowait(outcome.updates)
        return outcome

    async def _attempts(self, key: Key, make: Callable[[BotContext], Plan[Outcome]], request_id: str) -> Outcome:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._pool.connection() as session:
                    return await self._transaction(session, key, make, request_id)
            except TryAgain as e:
                if attempt == ATTEMPTS:
                    raise overtaken() from e
            except psycopg.DataError as e:
                raise ValidationFailed("A number is too large for the ledger.") from e
            except psycopg.Error as e:
                if not is_transient(e) or attempt == ATTEMPTS:
                    if (answer := unavailable(e)) is not None:
                        raise answer from e
                    raise
                await asyncio.sleep(pause(attempt))
        raise AssertionError("every attempt returns or raises")

    async def _transaction(
        self, session: psycopg.AsyncConnection[Row], key: Key, make: Callable[[BotContext], Plan[Outcome]],
        request_id: str,
    ) -> Outcome:  # fmt: skip
        plan = make(key.bot)
        acts = {"bot": key.row["bot_id"], "request": request_id}
        opening = [BEGIN, Sql(FOR_BOT, acts), Sql(GUARD, {"prefix": key.row["prefix"]})]
        try:
            step = next(plan)
            is_last = isinstance(step, Last)
            try:
                rows = await round_trip(session, [*opening, *step, *([COMMIT] if is_last else [])])
            except psycopg.Error as e:
                # The plan may ask for another attempt, but not go on: the key has not been looked at.
                with suppress(StopIteration):
                    plan.throw(e)
                raise
            if rows[2] != [key.row]:
                raise KeyChanged
            rows = rows[3 : 3 + len(step)]
            while True:
                try:
                    step = plan.send(rows)
                    is_last = isinstance(step, Last)
                    rows = (await round_trip(session, [*step, *([COMMIT] if is_last else [])]))[: len(step)]
                except psycopg.Error as e:
                    # A plan may know better (a batch goes on with the next operation); most let it pass.
                    step = plan.throw(e)
                    is_last = False
                    rows = await round_trip(session, step)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            if not is_last:
                await round_trip(session, [COMMIT])
            return outcome
        except BaseException:
            if not session.closed:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await session.execute("ROLLBACK")
            raise

    def note_use(self, prefix: str) -> None:
        """Note, in the background, that a token was used; the row is written at most once a minute."""
        now = time.monotonic()
        if now - self._used_at.get(prefix, -USE_SECONDS) >= USE_SECONDS:
            self._used_at[prefix] = now
            task = asyncio.create_task(self._note_use(prefix))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _note_use(self, prefix: str) -> None:
        try:
            async with self.gate.enter("reads"), self._pool.connection() as session:
                asked = {"prefix": prefix}
                await round_trip(session, [BEGIN, Sql(FOR_CALLER, asked), Sql(USED, asked), COMMIT])
        except (psycopg.Error, Unavailable) as e:
            logger.info("The use of a token was not noted: %s", e)

    async def _publish_all(self) -> None:
        while True:
            waiting = [await self._updates.get()]
            while not self._updates.empty():
                waiting.append(self._updates.get_nowait())
            try:
                await apublish([update for updates in waiting for update in updates])
            finally:
                for _ in waiting:
                    self._updates.task_done()


async def _knock_on(pool: AsyncConnectionPool[psycopg.AsyncConnection[Row]]) -> None:
    """Go on trying for the calls that wait while there is no connection at all."""
    found = pool.get_stats()
    if found.get("requests_waiting") and not found.get("pool_size"):
        size = pool.max_size
        # What a pool lacks of its new least size is connected at once.
        await pool.resize(0, size)
        await pool.resize(1, size)


async def _configure(session: psycopg.AsyncConnection[Row]) -> None:
    # More than all the texts our plans have, so that none is ever evicted.
    session.prepared_max = 1000


def conninfo() -> str:
    """Return where the lane's connections go: as the bots' login, to the database that Django is in, also in tests."""
    login = settings.BOT_DATABASE
    return make_conninfo(
        dbname=login.get("NAME") or connection.settings_dict["NAME"],
        user=login["USER"] or None,
        password=login["PASSWORD"] or None,
        host=login["HOST"] or None,
        port=login["PORT"] or None,
    )


def unavailable(error: psycopg.Error) -> Unavailable | None:
    """Return the 503 for a database that cannot do it now; its own words go to the log alone."""
    answer = unavailable_of(error)
    if answer is not None:
        logger.warning("The database cannot do it now: %s", type(error).__name__)
    return answer
