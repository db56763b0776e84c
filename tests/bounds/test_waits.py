"""Every bound ends a real wait on a real server: the caller hears "not now", and the next one is served."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import DatabaseError, connection
from django.test import override_settings

from audit.services.actions import SYSTEM
from bots.services import shell as shell_module
from bots.services.plan import Last, Outcome, Plan, Sql, run
from bots.services.shell import Key, Shell
from bots.services.tokens import token_create
from tests.factories import BotFactory
from tradingdb.lib.bounds import SOCKET
from tradingdb.lib.errors import Unavailable
from tradingdb.lib.retry import unavailable_of

pytestmark = pytest.mark.django_db(transaction=True)
# That the product asks for seconds is said by test_connections; what ends a wait here is shorter.
SHORT = {"statement_timeout": "200ms", "lock_timeout": "200ms", "idle_in_transaction_session_timeout": "200ms"}
MakePlan = Callable[..., Plan[Outcome]]


def sleeps(*_: object) -> Plan[Outcome]:
    yield Last([Sql("SELECT pg_sleep(60)", {})])
    return Outcome(200, {})


def wants_signals(*_: object) -> Plan[Outcome]:
    yield Last([Sql("SELECT count(*) FROM signals", {})])
    return Outcome(200, {})


def dawdles(*_: object) -> Plan[Outcome]:
    """Stands idle in its transaction until the server has ended it."""
    ((row,),) = yield [Sql("SELECT pg_backend_pid() AS pid", {})]
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.autocommit = True
        while other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [row["pid"]]).rowcount:
            time.sleep(0.05)
    yield [Sql("SELECT 1", {})]
    return Outcome(200, {})


def answers(*_: object) -> Plan[Outcome]:
    yield Last([Sql("SELECT 1", {})])
    return Outcome(200, {})


@contextmanager
def locked_signals() -> Iterator[None]:
    """Another session holds the table, and lets go of it at the end."""
    with psycopg.connect(**connection.get_connection_params()) as session:
        session.execute("SET idle_in_transaction_session_timeout = 0")
        session.execute("LOCK TABLE signals IN ACCESS EXCLUSIVE MODE")
        yield
        session.rollback()


WAITS = pytest.mark.parametrize(
    ("name", "plan"),
    [("statement_timeout", sleeps), ("lock_timeout", wants_signals), ("idle_in_transaction_session_timeout", dawdles)],
    ids=["statement", "lock", "idle"],
)


def in_a_lane(use: Callable[[Shell, Key], Awaitable[None]]) -> None:
    token = token_create(bot_id=BotFactory().bot_id, actor=SYSTEM).token

    async def drive() -> None:
        shell = Shell(size=1)
        await shell.open()
        try:
            key = await shell.read_key(token.partition(".")[0].rpartition("_")[2])
            assert key is not None
            await use(shell, key)
        finally:
            await shell.close()

    asyncio.run(drive())


@WAITS
def test_the_lane_waits_no_longer(name: str, plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_module, "OPTIONS", f"{shell_module.OPTIONS} -c {name}={SHORT[name]}")

    async def use(shell: Shell, key: Key) -> None:
        with pytest.raises(Unavailable), locked_signals():
            await shell.run(key, plan)
        assert (await shell.run(key, answers)).status == 200
        assert shell.gate.stats()["facts"] == {"inside": 0, "waiting": 0, "shed": 0}

    in_a_lane(use)


@WAITS
def test_django_waits_no_longer(name: str, plan: MakePlan) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = '{SHORT[name]}'")
    try:
        with pytest.raises(DatabaseError) as told, locked_signals():
            run(plan)
    finally:
        # The pool must not hand it to the next test.
        connection.close()
        connection.close_pool()

    assert isinstance(unavailable_of(told.value), Unavailable)
    assert run(answers).status == 200


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and says nothing, like a machine that hangs; gives its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def test_connecting_to_a_server_that_says_nothing_ends() -> None:
    with silent_server() as port, pytest.raises(psycopg.errors.ConnectionTimeout) as told:
        psycopg.connect(host="127.0.0.1", port=port, dbname="nobody", user="nobody", **SOCKET)

    assert isinstance(unavailable_of(told.value), Unavailable)


def test_the_lane_says_not_now_while_the_server_says_nothing_and_finds_it_again(settings) -> None:
    token = token_create(bot_id=BotFactory().bot_id, actor=SYSTEM).token
    prefix = token.partition(".")[0].rpartition("_")[2]

    async def drive() -> None:
        with silent_server() as port:
            with override_settings(BOT_DATABASE=settings.BOT_DATABASE | {"HOST": "127.0.0.1", "PORT": port}):
                lost = Shell(size=1)
            await lost.open()
            with pytest.raises(Unavailable):
                await lost.read_key(prefix)
            await lost.close()
        shell = Shell(size=1)
        await shell.open()
        assert await shell.read_key(prefix) is not None
        await shell.close()

    asyncio.run(drive())
