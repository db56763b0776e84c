"""A network that fails on purpose: a proxy before the server that knows where a request and its answer end."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

HEAD_END = b"\r\n\r\n"
HEAD_LIMIT = 64 * 1024
# What a slow line carries at once, and how long it rests in between, in seconds.
SLOW_BYTES, SLOW_PAUSE = 64, 0.01


class Fault(StrEnum):
    """What can happen to one request and its answer."""

    NONE = "none"
    DELAY = "delay"  # both take their time
    SLOW = "slow"  # few bytes a second
    CUT_REQUEST = "cut_request"  # the server gets a part of the request, then the line is dead
    LOSE_ANSWER = "lose_answer"  # the server has answered, the client never sees it
    CUT_ANSWER = "cut_answer"  # the client gets a part of the answer
    KEEP_ANSWER = "keep_answer"  # the server has answered, the client waits until it gives up
    SILENCE = "silence"  # nothing arrives, nobody is told
    LATE = "late"  # the client is cut off, and its request arrives when it has asked again
    TWICE = "twice"  # the network delivers the request a second time, at the same moment


class Weather:
    """Chooses a fault for each request at random, by a seed; `odds` are the shares of the faults, the rest is fine."""

    def __init__(self, seed: int, odds: Mapping[Fault, float]) -> None:
        self._dice = random.Random(seed)
        self._faults = [*odds, Fault.NONE]
        self._odds = [*odds.values(), 1.0 - sum(odds.values())]

    def __call__(self) -> Fault:
        return self._dice.choices(self._faults, self._odds)[0]


class FaultProxy:
    """Listens on a port of its own from `with` on. Everything it holds lives in the loop of one thread.

    `answers` counts the statuses the server gave, `faults` what was done to requests, `unsent` requests that found no
    server.
    """

    def __init__(
        self, target_port: int, choose: Callable[[], Fault] = lambda: Fault.NONE, *, seed: int = 0, delay: float = 0.1
    ) -> None:
        self.target_port = target_port
        self.choose = choose
        self.delay = delay
        self.answers: Counter[int] = Counter()
        self.faults: Counter[Fault] = Counter()
        self.unsent = 0
        self.port = 0
        self._dice = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._through = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self._stragglers: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.pass_on()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.refuse()
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def refuse(self) -> None:
        """Break every connection and refuse new ones until `accept`."""
        self._call(self._refuse())

    def accept(self) -> None:
        """Take connections, on the port it has always had."""
        self._call(self._accept())

    def swallow(self) -> None:
        """Let nothing through in either direction, and say so to nobody; it arrives after `pass_on`."""
        self._loop.call_soon_threadsafe(self._through.clear)

    def pass_on(self) -> None:
        """Let through what waits, and all that follows."""
        self._loop.call_soon_threadsafe(self._through.set)

    def settle(self) -> None:
        """Return when every request that was held back has been delivered."""
        self._call(self._settle())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _accept(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=HEAD_LIMIT)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for client in self._serving.values():
            client.transport.abort()

    async def _settle(self) -> None:
        while self._stragglers:
            await asyncio.gather(*self._stragglers, return_exceptions=True)

    async def _end(self) -> None:
        await self._settle()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry the requests of one client, one after another, over one connection to the server."""
        task = asyncio.current_task()
        assert task is not None
        # The loop itself holds tasks only weakly.
        self._serving[task] = writer
        line: _Line | None = None
        try:
            while (request := await _read_message(reader)) is not None:
                await self._through.wait()
                if line is None:
                    line = await _Line.open(self.target_port)
                if not await self._carry(self.choose(), request, line, reader, writer):
                    break
        except ConnectionRefusedError:
            self.unsent += 1
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # an end died, or we end; the other one hears it below
        finally:
            del self._serving[task]
            writer.transport.abort()
            if line is not None:
                line.cut()

    async def _carry(
        self, fault: Fault, request: bytes, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Carry one request and its answer, or what the fault leaves of them; return whether the line lives on."""
        self.faults[fault] += 1
        match fault:
            case Fault.SILENCE:
                await reader.read(1)
                return False
            case Fault.CUT_REQUEST:
                await line.send(request[: self._dice.randrange(1, len(request))])
                return False
            case Fault.LATE:
                self._later(self._deliver_late(request))
                return False
            case Fault.TWICE:
                self._later(self._deliver(request))
            case Fault.DELAY:
                await asyncio.sleep(self.delay * self._dice.random())
        await line.send(request, slowly=fault is Fault.SLOW)
        answer = await line.receive()
        self._count(answer)
        await self._through.wait()
        return await self._bring(fault, answer, reader, writer)

    async def _bring(
        self, fault: Fault, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Bring the client the server's answer, or what the fault leaves of it."""
        match fault:
            case Fault.LOSE_ANSWER:
                return False
            case Fault.KEEP_ANSWER:
                await reader.read(1)
                return False
            case Fault.CUT_ANSWER:
                writer.write(answer[: self._dice.randrange(1, len(answer))])
                # Closed in order, so that the part arrives.
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
                return False
            case Fault.DELAY:
                await asyncio.sleep(self.delay * self._dice.random())
        await _write(writer, answer, slowly=fault is Fault.SLOW)
        return True

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._stragglers.add(task)
        task.add_done_callback(self._stragglers.discard)

    async def _deliver_late(self, request: bytes) -> None:
        await asyncio.sleep(self.delay * 2 * self._dice.random())
        await self._deliver(request)

    async def _deliver(self, request: bytes) -> None:
        """Bring the server a request whose answer nobody waits for."""
        with suppress(OSError, EOFError):
            line = await _Line.open(self.target_port)
            try:
                await line.send(request)
                self._count(await line.receive())
            finally:
                line.cut()

    def _count(self, answer: bytes) -> None:
        self.answers[int(answer.split(b" ", 2)[1])] += 1


class _Line:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> _Line:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=HEAD_LIMIT))

    async def send(self, data: bytes, *, slowly: bool = False) -> None:
        await _write(self._writer, data, slowly=slowly)

    async def receive(self) -> bytes:
        """Return a whole answer. Raises EOFError when the server dies before."""
        answer = await _read_message(self._reader)
        if answer is None:
            raise EOFError
        return answer

    def cut(self) -> None:
        self._writer.transport.abort()


async def _read_message(reader: asyncio.StreamReader) -> bytes | None:
    """Return one HTTP message, head and body; None at the end. Bodies are announced by their length."""
    try:
        head = await reader.readuntil(HEAD_END)
    except asyncio.IncompleteReadError as e:
        if e.partial:
            raise
        return None
    length = 0
    for header in head.split(b"\r\n")[1:]:
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


async def _write(writer: asyncio.StreamWriter, data: bytes, *, slowly: bool) -> None:
    step = SLOW_BYTES if slowly else max(len(data), 1)
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
        await writer.drain()
        if slowly:
            await asyncio.sleep(SLOW_PAUSE)
