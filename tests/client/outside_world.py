"""The outside world of the client's tests: a real HTTP server that answers by a script, and clients to speak to it."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tradingdb_client import Ack, AsyncClient, Client, Pace
from tradingdb_client.permits import HeldPermit

TOKEN = "tdb_demo_abcdefghijkl.THE-SECRET-NOBODY-MAY-SEE"
FILL = {"order_id": "o-1", "price": "1.5", "quantity": "2", "executed_at": "2026-11-20T09:30:00Z"}
ORDER = {"order_id": "o-1", "symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "1"}


@dataclass(frozen=True)
class Seen:
    """One request as the server received it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Reply:
    """An answer. Text travels as it is, anything else as JSON."""

    status: int = 201
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Lost:
    """The server takes the request and the connection dies before the answer."""


class Silence:
    """The server takes the request and never answers."""


def problem(status: int, code: str, **more: Any) -> Reply:
    body = {"type": "about:blank", "title": "T", "status": status, "detail": f"About {code}.", "code": code}
    return Reply(status, {**body, "request_id": "req-1", "errors": [], **more})


class Handler(BaseHTTPRequestHandler):
    """Takes one connection's requests to its world, and its replies back."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 30
    server: Listener

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.world.take(Seen(self.command, url.path, dict(parse_qsl(url.query)), headers, content))
        if isinstance(reply, Reply):
            self.give(reply)
        else:
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do  # noqa: N815 (the names http.server calls)

    def give(self, reply: Reply) -> None:
        content = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
        self.send_response_only(reply.status)
        for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Listener(ThreadingHTTPServer):
    """The listening socket of one world."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, world: Server) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.world = world


def ids(first: int, last: int) -> list[str]:
    return [f"f-{number}" for number in range(first, last + 1)]


def add_fills(client: Any, first: int, last: int) -> list[Ack]:
    return [client.fill(fill_id=fill_id, **FILL) for fill_id in ids(first, last)]


class Server:
    """Answers by `script`, request by request, then with `answer`. It can go down and come back on its port."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.script: list[Reply | type[Lost] | type[Silence]] = []
        self.answer: Callable[[Seen], Reply | type[Lost] | type[Silence]] = lambda seen: Reply()
        self._release = threading.Event()
        self._lock = threading.Lock()
        self._port = 0
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def fill_ids(self) -> list[str]:
        """The ids of the fills the server took, in order of arrival."""
        return [seen.body["fill_id"] for seen in self.seen if seen.path == "/api/v1/fills"]

    def up(self) -> None:
        self._listener = Listener(self._port, self)
        self._port = self._listener.server_address[1]
        self._thread = threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self._is_up = True

    def down(self) -> None:
        """Refuse connections from now on; one that is still open dies at its next request, which nobody sees."""
        self._is_up = False
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    def close(self) -> None:
        self._release.set()
        if self._is_up:
            self.down()

    def take(self, seen: Seen) -> Reply | type[Lost] | type[Silence]:
        """Remember one request and return its reply; for Silence, only when the world ends."""
        with self._lock:
            if not self._is_up:
                return Lost
            self.seen.append(seen)
            reply = self.script.pop(0) if self.script else self.answer(seen)
        if reply is Silence:
            self._release.wait()
        return reply


class Clock:
    """A monotonic clock that moves when somebody sleeps, or when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Blocking:
    """An AsyncClient used from blocking code, so that one test runs on both clients."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self.client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            result = value(*args, **kwargs)
            if inspect.iscoroutine(result):
                return self._runner.run(result)
            return iter(self._runner.run(_collect(result)))

        return call

    def __repr__(self) -> str:
        return repr(self.client)

    def close(self) -> None:
        self._runner.run(self.client.aclose())


async def _collect(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


class Connect:
    """Makes clients of one kind, all on one fake clock, and closes them at the end."""

    def __init__(self, kind: str, server: Server) -> None:
        self.kind = kind
        self.clock = Clock()
        self._server = server
        self._runner = asyncio.Runner()
        self._clients: list[Client | Blocking] = []

    def __call__(self, url: str | None = None, token: str = TOKEN, *, has_permit: bool = False, **options: Any) -> Any:
        options = {"pace": Pace(jitter=lambda: 1.0, clock=self.clock), "timeout": 5.0, **options}
        made: Client | Blocking
        if self.kind == "sync":
            made = Client(url or self._server.url, token, sleep=self.clock.sleep, **options)
        else:
            client = AsyncClient(url or self._server.url, token, sleep=self.clock.asleep, **options)
            made = Blocking(client, self._runner)
        self._clients.append(made)
        if has_permit:
            made._courier._permits._held = HeldPermit("ACTIVE", self.clock.now, self.clock.now + 3600)
        return made

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._runner.close()
