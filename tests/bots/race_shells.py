"""Many writers at the same moment: threads and processes on the services, and the async lane."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import connection

from audit.services.actions import SYSTEM
from bots.api.lane import Lane
from bots.models import Bot
from bots.services.tokens import token_create
from tests.bots.model_driver import body_of, say
from tests.bots.model_ledger import Answer
from tests.bots.model_told import Told, ToldNews, ToldOrder
from tests.bots.race_writer import written
from tests.jobs.celery_processes import environment

# One list for each writer, told by it in that order.
Told_by = Sequence[Sequence[Told]]
Shell = Callable[[Bot, Told_by], list[list[Answer]]]
PROCESSES = 4


def by_threads(bot: Bot, told: Told_by) -> list[list[Answer]]:
    """Tell from as many threads as there are writers, each with a connection of its own."""
    together = threading.Barrier(len(told))

    def write(facts: Sequence[Told]) -> list[Answer]:
        try:
            connection.ensure_connection()
            together.wait()
            return [say(bot.bot_id, fact) for fact in facts]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(told)) as pool:
        return list(pool.map(write, told))


@asynccontextmanager
async def lane_of(token: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a lane of its own."""
    lane = Lane(get_asgi_application())
    transport, headers = httpx.ASGITransport(app=lane), {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            yield client
    finally:
        await lane.close()


async def say_by_lane(client: httpx.AsyncClient, told: Told) -> Answer:
    """Tell one fact by its own call."""
    return answer_in(await client.request(*route(told), json=body_in(told)))


def by_lane(bot: Bot, told: Told_by) -> list[list[Answer]]:
    """Tell over the lane, each writer in a task of its own, on the connections of its pool."""
    token = token_create(bot_id=bot.bot_id, actor=SYSTEM).token

    async def write(client: httpx.AsyncClient, facts: Sequence[Told]) -> list[Answer]:
        return [await say_by_lane(client, fact) for fact in facts]

    async def drive() -> list[list[Answer]]:
        async with lane_of(token) as client:
            return await asyncio.gather(*(write(client, facts) for facts in told))

    return asyncio.run(drive())


def route(told: Told) -> tuple[str, str]:
    """Return the call that takes such a fact."""
    if isinstance(told, ToldNews):
        return "PATCH", f"/api/v1/orders/{told.order_id}"
    return "POST", "/api/v1/orders" if isinstance(told, ToldOrder) else "/api/v1/fills"


def body_in(told: Told) -> dict[str, Any]:
    """Return the body of that call."""
    body = body_of(told)
    if isinstance(told, ToldNews):
        del body["order_id"]
    return body


def answer_in(response: httpx.Response) -> Answer:
    """Return what the lane answered, in the model's words."""
    body = response.json()
    is_replay = response.headers.get("Idempotent-Replay") == "true"
    if response.is_error:
        rules = tuple(reason["rule"] for reason in body.get("reasons", ()))
        return Answer(response.status_code, is_replay, rules=rules, code=body["code"])
    is_order = "order_id" in body and "quantity" in body and not response.request.url.path.startswith("/api/v1/orders/")
    return Answer(response.status_code, is_replay, () if is_order else tuple(body.get("flags", ())))


@contextmanager
def processes() -> Iterator[Shell]:
    """Yield a shell of processes that stay for all rounds; writers are dealt out to them."""
    command = [sys.executable, "-m", "tests.bots.race_writer"]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    command, env=environment("race:"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                    cwd=settings.BASE_DIR,
                )
            )
            for _ in range(PROCESSES)
        ]  # fmt: skip
        yield lambda bot, told: _by_processes(running, bot, told)


def _by_processes(running: Sequence["subprocess.Popen[str]"], bot: Bot, told: Told_by) -> list[list[Answer]]:
    hands = running[: len(told)]
    for number, process in enumerate(hands):
        facts = [written(fact) for some in told[number :: len(hands)] for fact in some]
        _tell(process, json.dumps({"bot_id": bot.bot_id, "facts": facts}))
    assert [_hear(process) for process in hands] == ["ready"] * len(hands)
    for process in hands:
        _tell(process, "go")
    answers: list[list[Answer]] = [[] for _ in told]
    for number, process in enumerate(hands):
        given = iter([Answer(a[0], a[1], tuple(a[2]), tuple(a[3]), a[4]) for a in json.loads(_hear(process))])
        for writer in range(number, len(told), len(hands)):
            answers[writer] = [next(given) for _ in told[writer]]
    return answers


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _hear(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the writer has ended"
    return line.strip()
