"""What a browser on the dashboard has in front of it: the live socket, its snapshots and its deltas."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import connect

from tests.e2e.running import Running

# A guard: what is wrong after this stays wrong, since the live layer compares with PostgreSQL every few seconds.
PATIENCE = 20.0


class Screen:
    """The open positions that a signed-in browser shows, by id, with their sizes."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.sizes: dict[str, str] = {}

    def comes_to_show(self, wanted: dict[str, str]) -> dict[str, str]:
        """Read on until the screen shows what is wanted, or for as long as it is patient; return what it shows."""
        deadline = time.monotonic() + PATIENCE
        while self.sizes != wanted and (left := deadline - time.monotonic()) > 0:
            try:
                self._take(json.loads(self._socket.recv(timeout=left)))
            except TimeoutError:
                break
        return self.sizes

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "snapshot":
            self.sizes = {}
        if message["type"] in ("snapshot", "delta"):
            self.sizes |= {row["position_id"]: row["size"] for row in message["positions"]}
            for position_id in message.get("closed", ()):
                self.sizes.pop(position_id, None)


@contextmanager
def open_screen(instance: Running, browser: httpx.Client, bot_id: str) -> Iterator[Screen]:
    """Open the live socket of a signed-in browser, narrowed to one bot."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    address = f"ws://127.0.0.1:{instance.port}/ws/live/?bot={bot_id}"
    with connect(address, origin=instance.base_url, additional_headers={"Cookie": cookies}, proxy=None) as socket:
        yield Screen(socket)
