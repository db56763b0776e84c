"""A server that fails or falls silent costs the call that met it, and nobody else."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest

from audit.services.actions import SYSTEM
from bots.services import pipeline
from bots.services.pipeline import round_trip
from bots.services.plan import Last, Outcome, Plan, Sql
from bots.services.shell import Key, Shell
from bots.services.tokens import token_create
from tests.factories import BotFactory
from tradingdb.lib.errors import Unavailable

pytestmark = pytest.mark.django_db(transaction=True)


@asynccontextmanager
async def opened(prefix: str) -> AsyncIterator[tuple[Shell, Key]]:
    """A lane with one connection and a key."""
    shell = Shell(size=1)
    await shell.open()
    try:
        key = await shell.read_key(prefix)
        assert key is not None
        yield shell, key
    finally:
        await shell.close()


def in_a_lane(use: Callable[[Shell, Key], Awaitable[None]]) -> None:
    token = token_create(bot_id=BotFactory().bot_id, actor=SYSTEM).token

    async def drive() -> None:
        async with opened(token.partition(".")[0].rpartition("_")[2]) as (shell, key):
            await use(shell, key)

    asyncio.run(drive())


def asks(*texts: str) -> Callable[..., Plan[Outcome]]:
    def plan(_: object) -> Plan[Outcome]:
        rows = yield Last([Sql(text, {}) for text in texts])
        return Outcome(200, {"rows": rows})

    return plan


def test_a_statement_that_was_to_be_prepared_behind_a_failed_one_is_prepared_anew():
    async def use(shell: Shell, key: Key) -> None:
        async with shell._pool.connection() as session:
            one, bad = Sql("SELECT 1 AS one", {}), Sql("SELECT 1 / 0", {})
            for _ in range(session.prepare_threshold or 0):
                await round_trip(session, [one])
            with pytest.raises(psycopg.errors.DivisionByZero):
                await round_trip(session, [bad, one])
            assert await round_trip(session, [one]) == [[{"one": 1}]]
            assert await round_trip(session, [one]) == [[{"one": 1}]]

    in_a_lane(use)


def test_a_frozen_session_is_given_up_and_the_next_call_has_another(monkeypatch):
    monkeypatch.setattr(pipeline, "SILENCE_SECONDS", 0.5)

    async def use(shell: Shell, key: Key) -> None:
        found = await shell.run(key, asks("SELECT pg_backend_pid() AS pid"))
        frozen = found.body["rows"][0][0]["pid"]
        os.kill(frozen, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable):
                await shell.run(key, asks("SELECT pg_backend_pid() AS pid"))
            again = await shell.run(key, asks("SELECT pg_backend_pid() AS pid"))
        finally:
            os.kill(frozen, signal.SIGCONT)
        assert again.body["rows"][0][0]["pid"] != frozen
        assert shell.gate.stats()["facts"] == {"inside": 0, "waiting": 0, "shed": 0}

    in_a_lane(use)
