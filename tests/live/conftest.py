"""Real sockets: uvicorn on a free port, PostgreSQL and Redis of the test run, keys of each test's own."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from bots.live import hub
from bots.live.client import sync_client
from tests.live.live_browser import Browser, SocketServer
from tradingdb.routing import websocket_application


@pytest.fixture(autouse=True)
def own_keys(settings: Any) -> Iterator[str]:
    """Give each test a prefix of its own and remove what it left in Redis."""
    settings.REDIS_PREFIX = f"test-{uuid4().hex}:"
    yield settings.REDIS_PREFIX
    left = list(sync_client().scan_iter(match=f"{settings.REDIS_PREFIX}*", count=1000))
    if left:
        sync_client().delete(*left)


@pytest.fixture
def socket_server() -> Iterator[SocketServer]:
    server = SocketServer(websocket_application)
    yield server
    server.stop()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the rounds of the hub, so that a test need not wait for them."""
    timing = hub.Timing(reconcile=0.3, bots=0.2, viewers=0.3, ping=0.3, age=0.2, settle_trades=0.05, ready=5.0)
    monkeypatch.setattr(hub, "TIMING", timing)


@pytest.fixture
def browse(socket_server: SocketServer) -> Iterator[Any]:
    """Open browsers on the test's server; all are closed at its end."""
    opened: list[Browser] = []

    def open_one(**options: Any) -> Browser:
        opened.append(Browser(socket_server, **options))
        return opened[-1]

    yield open_one
    for browser in opened:
        browser.close()
