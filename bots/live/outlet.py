"""Sending to one socket without ever waiting for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from bots.live.protocol import text_frame

Send = Callable[[Any], Coroutine[Any, Any, None]]

# Close codes of our own, beside the standard ones.
SIGNED_OUT = 4401


class Outlet:
    """One socket. A message goes out at once where the server takes it.

    A socket that would block is busy until it does not; what comes meanwhile is dropped, and then it gets the newest
    state instead. So a stalled browser costs one message of memory and holds up nobody.
    """

    __slots__ = ("_has_missed", "_is_gone", "_last", "_newest", "_send", "_task")

    def __init__(self, send: Send, newest: Callable[[], str]) -> None:
        self._send = send
        self._newest = newest
        self._task: asyncio.Task[None] | None = None
        self._has_missed = False
        self._is_gone = False
        self._last: dict[str, Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the socket holds back an earlier message."""
        return self._task is not None

    def push(self, event: dict[str, Any]) -> None:
        """Send an ASGI event now, or note that the socket missed it."""
        if self._is_gone or self._last is not None:
            return
        if self._task is not None:
            self._has_missed = True
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

    async def _finish(self, rest: Awaitable[None]) -> None:
        try:
            await rest
            while self._has_missed and self._last is None:
                self._has_missed = False
                await self._send(text_event(self._newest()))
            if self._last is not None:
                await self._send(self._last)
        except Exception:
            # As above.
            self._is_gone = True
        finally:
            self._task = None


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
