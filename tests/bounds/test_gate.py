"""The door before a pool: shares, order, and who is sent away."""

import asyncio
from typing import Any

import pytest

from tradingdb.lib import gate
from tradingdb.lib.errors import Unavailable
from tradingdb.lib.gate import LANE, Bucket, Gate, Share


class Crowd:
    """Calls at one gate, which stay inside until they are told to leave."""

    def __init__(self, size: int = 8, shares: Any = LANE) -> None:
        self.gate = Gate("test", size, shares)
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.leave: dict[str, asyncio.Event] = {}

    async def come(self, bucket: Bucket, count: int = 1, name: str = "") -> None:
        for number in range(count):
            key = f"{name or bucket}{number}"
            self.leave[key] = asyncio.Event()
            self.tasks[key] = asyncio.create_task(self._stay(bucket, key))
        await asyncio.sleep(0)

    async def _stay(self, bucket: Bucket, key: str) -> None:
        async with self.gate.enter(bucket):
            self.inside.append(key)
            await self.leave[key].wait()

    async def go(self, key: str) -> None:
        self.leave[key].set()
        await self.tasks[key]
        for _ in range(3):
            await asyncio.sleep(0)

    def count(self, bucket: Bucket) -> dict[str, int]:
        found: dict[str, int] = self.gate.stats()[bucket]
        return found

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@pytest.fixture
async def crowd() -> Any:
    made = Crowd()
    yield made
    await made.end()
    assert [made.count(bucket)["inside"] for bucket in LANE] == [0] * len(LANE)


async def test_others_leave_connections_to_facts(crowd):
    await crowd.come("reads", 5)
    await crowd.come("commands", 9)
    await crowd.come("facts", 3)

    # Of eight: two for reads, four for commands, and a quarter that is for facts alone.
    assert [crowd.count(bucket)["inside"] for bucket in ("reads", "commands", "facts")] == [2, 4, 2]
    assert [crowd.count(bucket)["waiting"] for bucket in ("reads", "commands", "facts")] == [3, 5, 1]


async def test_facts_go_in_first_then_commands_then_reads(crowd):
    await crowd.come("facts", 8, name="held")
    for bucket in ("reads", "commands", "facts"):
        await crowd.come(bucket)

    for number in range(3):
        await crowd.go(f"held{number}")

    assert crowd.inside[8:] == ["facts0", "commands0", "reads0"]


async def test_a_long_queue_sends_away_at_once(crowd):
    await crowd.come("reads", 2 + 8 * LANE["reads"].waiting_per_connection)

    with pytest.raises(Unavailable) as told:
        async with crowd.gate.enter("reads"):
            pass

    assert told.value.retry_after >= 1
    assert crowd.count("reads")["shed"] == 1
    async with crowd.gate.enter("facts"):
        assert crowd.count("facts") == {"inside": 1, "waiting": 0, "shed": 0}


async def test_whoever_waited_long_enough_is_sent_away_and_leaves_no_trace(monkeypatch):
    shares: dict[Bucket, Share] = {"facts": Share(1.0, 5, 0.01), "reads": Share(0.5, 5, 0.01)}
    crowd = Crowd(2, shares)
    await crowd.come("facts", 2)

    with pytest.raises(Unavailable):
        async with crowd.gate.enter("reads"):
            pass

    assert crowd.count("reads") == {"inside": 0, "waiting": 0, "shed": 1}
    await crowd.go("facts0")
    async with crowd.gate.enter("reads"):
        assert crowd.count("reads")["inside"] == 1
    await crowd.end()


async def test_one_who_gives_up_while_being_let_in_passes_the_place_on(crowd):
    await crowd.come("facts", 8, name="held")
    await crowd.come("facts", 2, name="next")

    crowd.leave["held0"].set()
    # The first in line has its place but did not run yet.
    await asyncio.sleep(0)
    crowd.tasks["next0"].cancel()
    for _ in range(4):
        await asyncio.sleep(0)

    assert "next1" in crowd.inside
    assert "next0" not in crowd.inside
    assert crowd.count("facts") == {"inside": 8, "waiting": 0, "shed": 0}


async def test_a_pool_of_two_still_serves_everybody(crowd):
    small = Crowd(2)
    for bucket in LANE:
        async with small.gate.enter(bucket):
            assert small.count(bucket)["inside"] == 1


def test_the_figures_are_counted_for_the_scraper():
    sample = gate.SHED.labels("test-figures", "reads")
    one = Gate("test-figures", 2, LANE)._classes["reads"]

    one.refuse()

    assert sample._value.get() == 1
