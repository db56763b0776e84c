"""A web server process for the tests of bounds, and the bots that call it."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
from django.conf import settings

from audit.services.actions import SYSTEM
from bots.models import Bot
from bots.services.tokens import token_create
from tests.bots.ledger_tools import at
from tests.factories import BotFactory
from tests.jobs.celery_processes import environment, eventually
from tradingdb.services.state import free_port

UNLIMITED = {
    f"RATE_LIMIT_{bucket}_PER_MINUTE": "10000000" for bucket in ("FACTS", "COMMANDS", "READS")
}  # fmt: skip


@dataclass
class Web:
    """A running web server."""

    base: str
    log_file: Path
    process: "subprocess.Popen[bytes]"

    def log(self) -> str:
        return self.log_file.read_text()

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.base}/health/ready", timeout=20).json()
        return found

    def metrics(self) -> str:
        return httpx.get(f"{self.base}/metrics", timeout=20).text


@contextmanager
def web(folder: Path, prefix: str, **extra: str) -> Iterator[Web]:
    """Run uvicorn with the whole application until the block ends."""
    port, log = free_port(), folder / "web.log"
    command = [sys.executable, "-m", "uvicorn", "tradingdb.asgi:application", "--port", str(port), "--no-access-log"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment(prefix) | UNLIMITED | extra, stdout=file, stderr=file, cwd=settings.BASE_DIR
        )
    running = Web(f"http://127.0.0.1:{port}", log, process)
    try:
        eventually(lambda: lives(running.base), running.log)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def lives(base: str) -> bool:
    try:
        return httpx.get(f"{base}/health/live", timeout=5).is_success
    except httpx.HTTPError:
        return False


@dataclass
class Caller:
    """A bot with its token; it notes what it heard and how long that took."""

    client: httpx.AsyncClient
    token: str
    heard: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    refusals: list[httpx.Response] = field(default_factory=list)
    refused: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        began = perf_counter()
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self.client.request(method, f"/api/v1{path}", json=body, headers=headers)
        self.seconds.append(perf_counter() - began)
        self.heard[answer.status_code] += 1
        if answer.status_code == 503:
            self.refusals.append(answer)
            self.refused.set()
        return answer


def new_token(**columns: Any) -> tuple[Bot, str]:
    bot = BotFactory(max_positions=100, leverage_limit=100, **columns)
    return bot, token_create(bot_id=bot.bot_id, actor=SYSTEM).token


def client(base: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=base, timeout=60, limits=httpx.Limits(max_connections=None, max_keepalive_connections=None)
    )


def order(order_id: str, **more: Any) -> dict[str, Any]:
    told = {"order_id": order_id, "symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "100000"}
    return told | {"intent": "report"} | more


def fill(fill_id: str, order_id: str, minute: float = 1.0) -> dict[str, Any]:
    return {"fill_id": fill_id, "order_id": order_id, "price": "100", "quantity": "1", "executed_at": at(minute)}


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


async def at_once(*calls: Any) -> list[Any]:
    return list(await asyncio.gather(*calls))
