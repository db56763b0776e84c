"""Too much is asked at once: facts go on, the rest hears 503 with Retry-After, and nobody hears any other 5xx."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.db import connection

from bots.models import Bot, ControlState, Fill, Position
from tests.bounds.web import Caller, Web, client, fill, new_token, order, p99, web
from tests.jobs.celery_processes import PATIENCE_SECONDS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("ledger_holds")]
SMALL = {"LANE_POOL_SIZE": "4", "DB_POOL_SIZE": "4"}
Ask = tuple[str, str, Any]
WRITERS, FILLS, CROWD = 4, 10, 60
# What the crowd may hear.
HEARD = {200, 201, 409, 503}
# Everybody reads the restrictions, facts too: only the bot of the crowd waits there for a lock.
HANG = 7_302_615
SLOW = """
    CREATE POLICY slow ON control_states AS RESTRICTIVE FOR SELECT USING (
        CASE WHEN current_setting('app.bot_id') = '{}' THEN pg_advisory_xact_lock_shared({}) IS NOT NULL ELSE true END
    )
"""


async def write(caller: Caller, bot_id: str, first: int) -> None:
    """Report fills one after another, as a bot does."""
    for number in range(first, first + FILLS):
        await caller.call("POST", "/fills", fill(f"{bot_id}-{number}", "o1", number))


async def until(done: asyncio.Event, caller: Caller, method: str, path: str, body: object) -> None:
    """Ask again and again, as soon as one is told to."""
    while not done.is_set():
        answer = await caller.call(method, path, body)
        assert answer.status_code in HEARD, answer.text
        if answer.status_code == 503:
            await asyncio.sleep(int(answer.headers["Retry-After"]))


async def refusal(crowd: list[Caller]) -> None:
    """Wait until one of them was sent away."""
    waiting = [asyncio.create_task(caller.refused.wait()) for caller in crowd]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def storm(
    running: Web, tokens: list[tuple[Bot, str]], other: str, calls: Sequence[Ask], session: psycopg.Connection
) -> dict[str, Any]:
    """Let bots report alone, then again among a crowd that waits for a lock; return what everybody heard."""
    async with client(running.base) as http:
        writers = [(Caller(http, token), bot.bot_id) for bot, token in tokens]
        for caller, _ in writers:
            await caller.call("POST", "/orders", order("o1"))
            caller.seconds.clear()
        crowd = [Caller(http, other) for _ in range(CROWD)]
        # The token is known before the storm: a stranger's first call stands in another queue.
        await crowd[0].call("GET", "/permit")
        await asyncio.gather(*(write(caller, bot_id, 0) for caller, bot_id in writers))
        alone = [seconds for caller, _ in writers for seconds in caller.seconds]
        for caller, _ in writers:
            caller.seconds.clear()

        await asyncio.to_thread(session.execute, "SET idle_in_transaction_session_timeout = 0")
        await asyncio.to_thread(session.execute, "SELECT pg_advisory_xact_lock(%s)", [HANG])
        done = asyncio.Event()
        asking = [asyncio.create_task(until(done, caller, *calls[n % len(calls)])) for n, caller in enumerate(crowd)]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await refusal(crowd)
            await asyncio.gather(*(write(caller, bot_id, FILLS) for caller, bot_id in writers))
        finally:
            done.set()
        ready = await asyncio.to_thread(running.ready)
        await asyncio.to_thread(session.rollback)
        await asyncio.gather(*asking)
    among = [seconds for caller, _ in writers for seconds in caller.seconds]
    return {"writers": [caller for caller, _ in writers], "crowd": crowd, "alone": alone, "among": among, "r": ready}


@pytest.fixture
def slow_bot() -> Iterator[tuple[Bot, str]]:
    """A bot that waits wherever it reads the restrictions, and its token."""
    bot, token = new_token()
    ControlState.objects.create(scope="all", target="", state="ACTIVE")
    with connection.cursor() as cursor:
        cursor.execute(SLOW.format(bot.bot_id, HANG))
    yield bot, token
    with connection.cursor() as cursor:
        cursor.execute("DROP POLICY slow ON control_states")


def test_facts_go_on_among_reads_and_commands_that_hang(
    tmp_path: Path, prefix: str, slow_bot: tuple[Bot, str], record_testsuite_property
) -> None:
    tokens, (_, other) = [new_token() for _ in range(WRITERS)], slow_bot
    calls: list[Ask] = [
        ("GET", "/permit", None),
        ("POST", "/orders", order("wanted", intent="request", quantity="1")),
    ]
    with web(tmp_path, prefix, **SMALL) as running:
        with psycopg.connect(**connection.get_connection_params()) as session:
            found = asyncio.run(storm(running, tokens, other, calls, session))
        metrics = running.metrics()
        log = running.log()

    crowd = [answer for caller in found["crowd"] for answer in caller.refusals]
    facts = sum((caller.heard for caller in found["writers"]), start=type(found["writers"][0].heard)())
    others = sum((caller.heard for caller in found["crowd"]), start=type(facts)())
    record_testsuite_property("p99_alone_ms", 1000 * p99(found["alone"]))
    record_testsuite_property("p99_among_ms", 1000 * p99(found["among"]))

    # 201 for the order and for every fill: no fact was sent away.
    assert facts == {201: WRITERS * (1 + 2 * FILLS)}
    assert Fill.objects.count() == WRITERS * 2 * FILLS
    assert set(Position.objects.values_list("size", flat=True)) == {2 * FILLS}
    # The crowd heard only what it may hear.
    assert set(others) <= HEARD
    assert others[503] > 0
    assert {answer.json()["code"] for answer in crowd} == {"unavailable"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in crowd)
    # They were sent away at the door, before the pool was used up.
    assert "PoolTimeout" not in log
    lane = found["r"]["pools"]["lane"]
    assert lane["facts"]["shed"] == 0
    assert lane["reads"]["shed"] > 0
    assert lane["reads"]["inside"] + lane["commands"]["inside"] < lane["size"]
    assert 'tradingdb_shed_total{bucket="reads",door="lane"}' in metrics


def test_reads_through_django_are_bounded_and_health_answers(tmp_path: Path, prefix: str) -> None:
    _, token = new_token()

    async def drive(base: str) -> tuple[list[Caller], httpx.Response]:
        async with client(base) as http:
            crowd = [Caller(http, token) for _ in range(CROWD)]
            asking = asyncio.gather(*(caller.call("GET", "/fills") for caller in crowd for _ in range(2)))
            health = await http.get("/health/live")
            await asking
            return crowd, health

    with web(tmp_path, prefix, **SMALL) as running:
        crowd, health = asyncio.run(drive(running.base))
        stranger = httpx.get(f"{running.base}/account/login/")
        pools = running.ready()["pools"]

    heard = sum((caller.heard for caller in crowd), start=type(crowd[0].heard)())
    assert set(heard) == {200, 503}
    assert all(answer.headers["Retry-After"] == "1" for caller in crowd for answer in caller.refusals)
    assert (health.status_code, stranger.status_code) == (200, 200)
    assert pools["site"]["reads"]["shed"] == heard[503]
    assert pools["site"]["reads"]["inside"] == 0
