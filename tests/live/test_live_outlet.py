"""Sending to a socket: at once, and never waiting for one that takes nothing."""

import asyncio
import json
from typing import Any

from bots.live.outlet import Outlet


class Slow:
    """A server side socket that holds each message back until it is released."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.gate = asyncio.Event()

    async def send(self, event: dict[str, Any]) -> None:
        await self.gate.wait()
        self.sent.append(json.loads(event["text"]) if "text" in event else event)


async def test_a_free_socket_gets_the_message_before_push_returns() -> None:
    slow = Slow()
    slow.gate.set()
    outlet = Outlet(slow.send, newest=lambda: "0")

    outlet.push_text("1")

    assert slow.sent == [1]
    assert not outlet.is_busy


async def test_a_stalled_socket_gets_the_newest_state_when_it_comes_back() -> None:
    slow, newest = Slow(), 1
    outlet = Outlet(slow.send, newest=lambda: json.dumps({"newest": newest}))

    outlet.push_text('"first"')
    for newest in range(100):
        outlet.push_text(json.dumps(newest))
    assert (slow.sent, outlet.is_busy) == ([], True)
    slow.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)

    assert slow.sent == ["first", {"newest": 99}]
    assert not outlet.is_busy
    outlet.push_text('"after"')
    assert slow.sent[-1] == "after"


async def test_closing_a_stalled_socket_sends_the_close_and_no_state() -> None:
    slow = Slow()
    outlet = Outlet(slow.send, newest=lambda: '"secret"')
    outlet.push_text('"first"')
    outlet.push_text('"missed"')

    outlet.close(4401)
    outlet.push_text('"later"')
    slow.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)

    assert slow.sent == ["first", {"type": "websocket.close", "code": 4401}]


async def test_a_socket_that_went_away_is_left_alone() -> None:
    calls = 0

    async def gone(event: dict[str, Any]) -> None:
        nonlocal calls
        calls += 1
        raise ConnectionResetError

    outlet = Outlet(gone, newest=lambda: "0")
    outlet.push_text("1")
    outlet.push_text("2")

    assert calls == 1


async def test_a_socket_that_goes_away_while_it_is_waited_for_harms_nobody() -> None:
    gate = asyncio.Event()

    async def dies(event: dict[str, Any]) -> None:
        await gate.wait()
        raise ConnectionResetError

    outlet = Outlet(dies, newest=lambda: "0")
    outlet.push_text("1")
    gate.set()
    for _ in range(3):
        await asyncio.sleep(0)

    assert not outlet.is_busy
