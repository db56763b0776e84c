"""A real server and a real client for the tests of the sockets."""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import uvicorn
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from websockets.sync.client import ClientConnection, connect

from accounts.models import User
from accounts.session_store import SessionStore
from bots.live.protocol import FrameProtocol
from tests.factories import UserFactory

LIVE = "/ws/live/"


class SocketServer:
    """uvicorn in a thread, with the sockets of the project."""

    def __init__(self, app: Any, port: int = 0, ws: Any = FrameProtocol, lifespan: str = "off") -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(app, ws=ws, lifespan=lifespan, log_level="warning", access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()
        wait_for(lambda: self.server.started)

    def stop(self) -> None:
        """End it as a deploy does: sockets are closed with 1012."""
        self.server.should_exit = True
        self.thread.join(60)
        assert not self.thread.is_alive()

    def url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


def session_of(user: User) -> str:
    """Sign a person in and return the session key."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


class Browser:
    """A client that follows the stream as the contract asks: snapshot, then messages without a gap."""

    def __init__(
        self, server: SocketServer, *, user: User | None = None, path: str = "/ws/live/", **options: Any
    ) -> None:
        self.session_key = session_of(user or UserFactory(role="viewer"))
        headers = {"Cookie": f"sessionid={self.session_key}"}
        opening = connect(server.url(path), additional_headers=headers, origin="http://127.0.0.1", **options)
        self._open = ExitStack()
        self.socket: ClientConnection = self._open.enter_context(opening)
        self.seq: int | None = None
        self.positions: dict[str, dict[str, Any]] = {}
        self.bots: dict[str, dict[str, Any]] = {}
        self.prices: dict[str, dict[str, Any]] = {}
        self.totals: dict[str, Any] = {}
        self.seen: list[dict[str, Any]] = []

    def receive(self, timeout: float = 5.0) -> dict[str, Any]:
        """Take in one message and check that none is missing before it."""
        message: dict[str, Any] = json.loads(self.socket.recv(timeout))
        self.seen.append(message)
        if message["type"] == "snapshot":
            self.positions, self.bots, self.prices = {}, {}, {}
        elif message["type"] != "ping":
            assert message["seq"] == (self.seq or 0) + 1
        self.seq = message.get("seq", self.seq)
        self.positions |= {row["position_id"]: row for row in message.get("positions", [])}
        self.bots |= {row["bot_id"]: row for row in message.get("bots", [])}
        self.prices |= message.get("prices", {})
        self.totals = message.get("totals", self.totals)
        for position_id in message.get("closed", []):
            self.positions.pop(position_id, None)
        return message

    def until(self, kind: str, timeout: float = 5.0) -> dict[str, Any]:
        """Take in messages until one of a kind comes, and return it."""
        deadline = time.monotonic() + timeout
        while (message := self.receive(deadline - time.monotonic()))["type"] != kind:
            pass
        return message

    def follow(self, condition: Callable[[], bool], timeout: float = 15.0) -> None:
        """Take in messages until a condition holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            self.receive(deadline - time.monotonic())

    def send(self, message: Any) -> None:
        self.socket.send(message if isinstance(message, str) else json.dumps(message))

    def close(self) -> None:
        self._open.close()


def wait_for(condition: Any, timeout: float = 10.0) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come about in time"
        time.sleep(0.01)
