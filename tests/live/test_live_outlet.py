"""Sending to a socket: at once, and never waiting for one that takes nothing."""

import asyncio
import json
from typing import Any

import pytest

from bots.live.outlet import MOST_WAITING, Outlet


class Slow:
    """A server side socket that holds each message back until it is released."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.gate = asyncio.Event()

    async def send(self, event: dict[str, Any]) -> None:
        await self.gate.wait()
        self.sent.append(json.loads(event["text"]) if "text" in event else event)


async def settled(outlet: Outlet) -> None:
    """Let the loop turn until nothing is held back any more."""
    for _ in range(1000):
        if not outlet.is_busy:
            return
        await asyncio.sleep(0)
    pytest.fail("The socket is still busy.")


async def test_a_free_socket_gets_the_message_before_push_returns() -> None:
    slow = Slow()
    slow.gate.set()
    outlet = Outlet(slow.send, newest=lambda: "0")

    outlet.push_text("1")

    assert slow.sent == [1]
    assert not outlet.is_busy


async def test_a_slow_socket_gets_everything_in_its_order() -> None:
    slow = Slow()
    outlet = Outlet(slow.send, newest=lambda: '"newest"')

    for number in range(MOST_WAITING + 1):
        outlet.push_text(str(number))
    assert (slow.sent, outlet.is_busy) == ([], True)
    slow.gate.set()
    await settled(outlet)

    assert slow.sent == list(range(MOST_WAITING + 1))


@pytest.mark.parametrize(("count", "length"), [(MOST_WAITING + 2, 1), (6, 1_000_000)])
async def test_a_stalled_socket_gets_the_newest_state_when_it_comes_back(count: int, length: int) -> None:
    slow = Slow()
    told = 0
    outlet = Outlet(slow.send, newest=lambda: json.dumps({"newest": told}))

    outlet.push_text('"first"')
    for _ in range(count):
        told += 1
        outlet.push_text(json.dumps("x" * length))
    slow.gate.set()
    await settled(outlet)

    assert slow.sent == ["first", {"newest": count}]
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
    await settled(outlet)

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
    await settled(outlet)

    assert not outlet.is_busy
