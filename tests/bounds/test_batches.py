"""A batch that cannot be taken now is refused as a whole: 503, and no operation of it is called wrong or stored."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from django.core.asgi import get_asgi_application
from django.db import OperationalError, connection

from bots.api import inputs
from bots.api.lane import Lane
from bots.api.operations import read_operation
from bots.models import Fill, Order, Signal
from bots.services import shell as shell_module
from bots.services.batch import Batch
from bots.services.context import bot_context
from bots.services.plan import Outcome, run
from bots.services.shell import Shell
from tests.bounds.web import fill, new_token, order
from tradingdb.lib.errors import Unavailable
from tradingdb.lib.gate import LANE, Share
from tradingdb.lib.retry import unavailable_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("ledger_holds")]
SIGNAL = {"signal_id": "s1", "symbol": "BTCUSDT", "signal_type": "long", "price": "100", "strategy": "x"}
OPERATIONS: list[dict[str, Any]] = [
    {"op": "order", "data": order("o1")},
    {"op": "signal", "data": SIGNAL},
    {"op": "fill", "data": fill("f1", "o1")},
]


def stored() -> tuple[int, int, int]:
    return Order.objects.count(), Signal.objects.count(), Fill.objects.count()


def through_a_lane(use: Callable[[Lane, Callable[[], Any]], Any]) -> Any:
    """Let `use` send the batch to a lane that knows the token; what it returns is returned."""
    _, token = new_token()

    async def drive() -> Any:
        lane = Lane(get_asgi_application())  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app=lane)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1/api/v1", headers=headers
        ) as client:
            assert (await client.get("/permit")).status_code == 200
            try:
                return await use(lane, lambda: client.post("/batch", json={"operations": OPERATIONS}))
            finally:
                await lane.close()

    return asyncio.run(drive())


def assert_not_now(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("fullness", ["everybody is at the door", "the pool has lent all it has"])
def test_a_batch_that_finds_every_connection_taken_hears_503(fullness, monkeypatch, settings):
    settings.LANE_POOL_SIZE = 1
    share = LANE["facts"]
    monkeypatch.setitem(LANE, "facts", Share(share.part, share.waiting_per_connection, 0.2))
    monkeypatch.setattr(shell_module, "WAIT_FOR_CONNECTION_SECONDS", 0.2)

    async def use(lane: Lane, send: Callable[[], Any]) -> tuple[Any, ...]:
        shell = await lane.shell()
        taken = shell.gate.enter("facts") if fullness.startswith("everybody") else shell._pool.connection()
        async with taken:
            refused = await send()
        before = await asyncio.to_thread(stored_elsewhere)
        return refused, before, await send()

    refused, before, taken = through_a_lane(use)

    assert_not_now(refused)
    assert before == (0, 0, 0)
    assert [result["status"] for result in taken.json()["results"]] == [201, 201, 201]
    assert stored() == (1, 1, 1)


def stored_elsewhere() -> tuple[int, int, int]:
    """The same from another thread, whose connection ends with the question."""
    try:
        return stored()
    finally:
        connection.close()


def by_django(batch: Batch, bot_id: str, _: str) -> Outcome:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        return run(lambda: batch.plan(bot_context(bot_id)))
    finally:
        # The pool must not hand it to the next test.
        connection.close()
        connection.close_pool()


def by_lane(batch: Batch, _: str, token: str) -> Outcome:
    async def drive() -> Outcome:
        shell = Shell(size=1)
        await shell.open()
        try:
            key = await shell.read_key(token.partition(".")[0].rpartition("_")[2])
            assert key is not None
            return await shell.run(key, batch.plan)
        finally:
            await shell.close()

    return asyncio.run(drive())


@pytest.mark.parametrize("is_careful", [False, True], ids=["fast", "careful"])
@pytest.mark.parametrize("shell", [by_django, by_lane])
def test_an_operation_that_waits_too_long_for_a_lock_refuses_the_batch(shell, is_careful, monkeypatch):
    monkeypatch.setattr(shell_module, "OPTIONS", shell_module.OPTIONS + " -c lock_timeout=200ms")
    bot, token = new_token()
    operations = [read_operation(inputs.OperationIn.model_validate(operation)) for operation in OPERATIONS]

    def send() -> Outcome:
        return shell(Batch(operations, is_careful=is_careful), bot.bot_id, token)

    with psycopg.connect(**connection.get_connection_params()) as session:
        session.execute("SET idle_in_transaction_session_timeout = 0")
        session.execute("LOCK TABLE signals IN ACCESS EXCLUSIVE MODE")
        with pytest.raises((OperationalError, Unavailable)) as told:
            send()
        session.rollback()

    answer = told.value if isinstance(told.value, Unavailable) else unavailable_of(told.value)
    assert isinstance(answer, Unavailable)
    assert stored() == (0, 0, 0)
    assert [result["status"] for result in send().body["results"]] == [201, 201, 201]
    assert stored() == (1, 1, 1)
