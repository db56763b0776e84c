"""Sending to one socket without ever waiting for it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from bots.live.protocol import text_frame

Send = Callable[[Any], Coroutine[Any, Any, None]]

# Close codes of our own, beside the standard ones.
# As a deploy: come again at once.
RESTART = 1012
SIGNED_OUT = 4401
# Two seconds at the full pace. The events are shared by all sockets, so what waits costs little.
MOST_WAITING = 120
MOST_WAITING_BYTES = 4 * 1024 * 1024


class Outlet:
    """One socket. A message goes out at once where the server takes it.

    A socket that would block gets what comes meanwhile in its order, as far as that is little; one that falls further
    behind gets the newest state instead. So a stalled browser costs a bounded memory and holds up nobody.
    """

    __slots__ = ("_bytes", "_has_missed", "_is_gone", "_last", "_newest", "_send", "_task", "_waiting")

    def __init__(self, send: Send, newest: Callable[[], str]) -> None:
        self._send = send
        self._newest = newest
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[dict[str, Any]] = deque()
        self._bytes = 0
        self._has_missed = False
        self._is_gone = False
        self._last: dict[str, Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the socket holds back an earlier message."""
        return self._task is not None

    def push(self, event: dict[str, Any]) -> None:
        """Send an ASGI event now, or as soon as the socket takes it."""
        if self._is_gone or self._last is not None:
            return
        if self._task is not None:
            self._wait(event)
            return
        step = self._send(event)
        try:
            waited = step.send(None)
        except StopIteration:
            return
        except Exception:
            # Each server has its own error for a closed socket; the consumer hears of the end by itself.
            self._is_gone = True
            return
        self._task = asyncio.get_running_loop().create_task(self._finish(_Rest(step, waited)))

    def push_text(self, text: str) -> None:
        """Send a text message."""
        self.push(text_event(text))

    def close(self, code: int) -> None:
        """Close the socket from our side, as soon as it takes anything."""
        event = {"type": "websocket.close", "code": code}
        if self._task is None:
            self.push(event)
        self._last = event

    def _wait(self, event: dict[str, Any]) -> None:
        if self._has_missed:
            return
        self._waiting.append(event)
        self._bytes += len(event.get("frame", b""))
        if len(self._waiting) > MOST_WAITING or self._bytes > MOST_WAITING_BYTES:
            self._forget()
            self._has_missed = True

    def _forget(self) -> None:
        self._waiting.clear()
        self._bytes = 0

    async def _finish(self, rest: Awaitable[None]) -> None:
        try:
            await rest
            while (event := self._next()) is not None:
                await self._send(event)
        except Exception:
            # As above.
            self._is_gone = True
        finally:
            self._forget()
            self._task = None

    def _next(self) -> dict[str, Any] | None:
        """Return what the socket gets now that it takes something again."""
        if self._last is not None:
            return None if self._is_gone else self._end()
        if self._has_missed:
            self._has_missed = False
            return text_event(self._newest())
        if not self._waiting:
            return None
        event = self._waiting.popleft()
        self._bytes -= len(event.get("frame", b""))
        return event

    def _end(self) -> dict[str, Any] | None:
        self._is_gone = True
        return self._last


def text_event(text: str) -> dict[str, Any]:
    """Return the ASGI event of a text message; it can be sent to any number of sockets.

    `frame` is for FrameProtocol; other servers take the text.
    """
    return {"type": "websocket.send", "text": text, "frame": text_frame(text)}


class _Rest:
    """Awaits a coroutine whose first step was taken already; from Python 3.12 on an eager task does the same."""

    __slots__ = ("_step", "_waited")

    def __init__(self, step: Coroutine[Any, Any, None], waited: Any) -> None:
        self._step = step
        self._waited = waited

    def __await__(self) -> Generator[Any, Any, None]:
        waited = self._waited
        try:
            while True:
                try:
                    answer = yield waited
                except BaseException as e:
                    # What the task throws in, a cancellation, belongs to the coroutine.
                    waited = self._step.throw(e)
                else:
                    waited = self._step.send(answer)
        except StopIteration:
            return
