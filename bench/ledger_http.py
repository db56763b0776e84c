"""The web server under measurement, and the least client that can talk to it."""

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

START_SECONDS = 30.0
ANSWER_SECONDS = 30.0
NO_LIMIT = "1000000000"


class WebServer:
    """One uvicorn process with one worker, started as the instance starts it, without limits of calls a minute."""

    def __init__(self, prefix: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        limits = {f"RATE_LIMIT_{kind}_PER_MINUTE": NO_LIMIT for kind in ("FACTS", "COMMANDS", "READS")}
        command = [sys.executable, "-m", "uvicorn", "tradingdb.asgi:application", "--port", str(self.port)]
        command += ["--lifespan", "on", "--no-access-log", "--timeout-graceful-shutdown", "5"]
        # A client waits while the other side is measured.
        command += ["--timeout-keep-alive", "600"]
        self._process = subprocess.Popen(command, env={**os.environ, **limits, "REDIS_PREFIX": f"{prefix}:"})

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError("The web server did not start.")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self) -> socket.socket:
        """Return a new connection, which the server keeps alive."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@dataclass(slots=True)
class Answers:
    """What came back: latencies in microseconds, statuses, and how long all of it took."""

    latencies: list[float]
    statuses: list[int]
    seconds: float
    last_body: bytes = b""

    def expect(self, status: int) -> "Answers":
        """Return these answers if each has the status; a benchmark of refusals would measure nothing."""
        wrong = {found for found in self.statuses if found != status}
        if wrong:
            raise RuntimeError(f"Answers with status {wrong}: {self.last_body[:500]!r}")
        return self


def request(path: str, token: str, body: bytes) -> bytes:
    """Return a whole POST, ready to be sent."""
    head = (
        f"POST /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send_all(connections: Sequence[socket.socket], queues: Sequence[Sequence[bytes]]) -> Answers:
    """Send each connection its requests, one after another, all connections at the same time."""
    answers = Answers([], [], 0.0)
    clock, poll = time.perf_counter_ns, select.epoll()
    waiting = {}
    begin = clock()
    for connection, queue in zip(connections, queues, strict=True):
        number = connection.fileno()
        poll.register(number, select.EPOLLIN)
        waiting[number] = (connection, iter(queue))
    sent, begun = {}, dict.fromkeys(waiting, b"")

    def send_next(number: int) -> None:
        connection, queue = waiting[number]
        content = next(queue, None)
        if content is None:
            del waiting[number]
            return
        sent[number] = clock()
        connection.sendall(content)

    for number in list(waiting):
        send_next(number)
    while waiting:
        ready = poll.poll(ANSWER_SECONDS)
        if not ready:
            raise RuntimeError("The web server did not answer.")
        for number, _ in ready:
            data = waiting[number][0].recv(1 << 18)
            if not data:
                raise RuntimeError("The web server closed a connection.")
            data = begun[number] + data
            status = status_when_whole(data)
            begun[number] = b"" if status else data
            if status:
                answers.latencies.append((clock() - sent[number]) / 1000)
                answers.statuses.append(status)
                answers.last_body = data
                send_next(number)
    answers.seconds = (clock() - begin) / 1e9
    poll.close()
    return answers


def status_when_whole(data: bytes) -> int | None:
    """Return the status of an answer once all of its body is there."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return None
    at = head.index(b"content-length: ") + 16
    length = int(head[at : head.find(b"\r", at) if b"\r" in head[at:] else None])
    return int(head[9:12]) if len(body) >= length else None
