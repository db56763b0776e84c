"""Clients that send slowly, send too much or take nothing, and a Redis that never answers: other bots' calls go on."""

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import httpx
import pytest

from bots.live import client as live_client
from bots.live import publish, ratelimit
from bots.live.client import ANSWER_SECONDS, CONNECT_SECONDS, RETRIES
from bots.live.publish import PAUSE_SECONDS
from bots.models import Fill
from tests.bounds.web import Caller, Web, client, fill, new_token, order, web

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("ledger_holds")]
FILLS = 12


def connected(running: Web) -> socket.socket:
    url = httpx.URL(running.base)
    return socket.create_connection((url.host, url.port or 80), timeout=60)


def head(path: str, token: str, length: int) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


async def report(base: str, token: str, count: int = FILLS) -> Caller:
    async with client(base) as http:
        caller = Caller(http, token)
        await caller.call("POST", "/orders", order("o1"))
        for number in range(count):
            await caller.call("POST", "/fills", fill(f"f{number}", "o1", number))
        return caller


def whole_answer(connection: socket.socket) -> bytes:
    """Return an answer to its end: head and body may come one after the other."""
    answer = b""
    while piece := connection.recv(4096):
        answer += piece
        top, end, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", top.lower())
        if end and length and len(body) >= int(length[1]):
            break
    return answer


def test_requests_that_never_end_hold_up_nobody(tmp_path: Path, prefix: str) -> None:
    (_, slow), (_, token) = new_token(), new_token()
    with web(tmp_path, prefix, LANE_POOL_SIZE="2", DB_POOL_SIZE="3") as running, ExitStack() as open_sockets:
        for number in range(60):
            endless = open_sockets.enter_context(connected(running))
            # Half a line; the head alone; the head and the first bytes, to the lane and to Django.
            path = "/api/v1/fills" if number % 2 else "/api/v1/trades"
            whole = head(path, slow, 1000) + b'{"fill_id": "'
            endless.sendall((whole[:20], whole[: whole.index(b"{")], whole)[number % 3])
        done = asyncio.run(report(running.base, token))
        read = httpx.get(f"{running.base}/api/v1/fills", headers={"Authorization": f"Bearer {token}"}, timeout=60)
        pools = running.ready()["pools"]

        # The last of them hears that its body did not arrive.
        answer = whole_answer(endless)

    assert done.heard == {201: 1 + FILLS}
    assert len(read.json()["items"]) == FILLS
    assert [door["facts"]["inside"] for door in pools.values()] == [0, 0]
    assert b" 408 " in answer.splitlines()[0]
    assert b"request_timeout" in answer


def test_a_body_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, prefix: str) -> None:
    (_, big), (_, token) = new_token(), new_token()
    with web(tmp_path, prefix) as running, connected(running) as told, connected(running) as silent:
        told.sendall(head("/api/v1/fills", big, 10**9))
        refused = told.recv(4096)
        # Without a length, and more than it may be.
        chunked = head("/api/v1/fills", big, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        silent.sendall(chunked)
        piece = b" " * 65536
        for _ in range(17):
            silent.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        refused_too = silent.recv(4096)
        done = asyncio.run(report(running.base, token))

    assert b" 413 " in refused.splitlines()[0]
    assert b" 413 " in refused_too.splitlines()[0]
    assert done.heard == {201: 1 + FILLS}


def test_a_client_that_takes_no_answer_holds_up_nobody(tmp_path: Path, prefix: str) -> None:
    (_, lazy), (_, token) = new_token(), new_token()
    with web(tmp_path, prefix, LANE_POOL_SIZE="2", DB_POOL_SIZE="3") as running, ExitStack() as open_sockets:
        for _ in range(20):
            lazy_socket = open_sockets.enter_context(connected(running))
            ask = f"GET /api/v1/permit HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {lazy}\r\n\r\n"
            lazy_socket.sendall(ask.encode() * 50)
        done = asyncio.run(report(running.base, token))

    assert done.heard == {201: 1 + FILLS}


@contextmanager
def black_hole() -> Iterator[str]:
    """A Redis that takes every connection and every byte, and never says anything."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    held: list[socket.socket] = []

    def take() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    thread = Thread(target=take, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for one in held:
            one.close()


def test_a_redis_that_never_answers_costs_a_bounded_wait_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the pause is ours here; how long a busy machine takes decides nothing."""

    async def drive() -> int:
        monkeypatch.setattr(publish, "outage", outage := publish.Outage())
        monkeypatch.setattr(ratelimit, "outage", outage)
        tried, now = 0, [1000.0]
        monkeypatch.setattr(publish, "time", SimpleNamespace(monotonic=lambda: now[0]))
        for number in range(50):
            was_over = outage.is_over()
            await ratelimit.await_ms(f"bot{number}", "facts")
            tried += was_over
            now[0] += PAUSE_SECONDS / 10
        return tried

    with black_hole() as url:
        monkeypatch.setattr(live_client, "url", lambda: url)
        assert asyncio.run(drive()) == 5

    # What one wait may cost: connecting and answering, and once more at once.
    assert (CONNECT_SECONDS + ANSWER_SECONDS) * (1 + RETRIES) <= 1.5


def test_fills_are_stored_while_redis_never_answers(tmp_path: Path, prefix: str) -> None:
    bot, token = new_token()
    with black_hole() as url, web(tmp_path, prefix, REDIS_URL=url) as running:
        done = asyncio.run(report(running.base, token))
        ready = httpx.get(f"{running.base}/health/ready", timeout=60)

    assert done.heard == {201: 1 + FILLS}
    assert Fill.objects.filter(bot=bot).count() == FILLS
    assert ready.status_code == 503
    assert json.loads(ready.content)["checks"]["redis"] in ("unreachable", "timeout")
