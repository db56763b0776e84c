"""Doors before a pool of connections: who may use how many, who waits, and who is told to come again.

What bots report must get through when too much is asked at once. So reads may hold a part of the connections only,
commands a larger one, facts all; whoever is more important goes in first; and a class whose queue is long, or that has
waited long enough, hears 503 while there are still connections for those above it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import Counter, Gauge

from tradingdb.lib.errors import Unavailable

Bucket = Literal["facts", "commands", "reads", "keys"]

SHED = Counter("tradingdb_shed", "Calls told to come again because others go first.", ["door", "bucket"])
INSIDE = Gauge("tradingdb_inside", "Calls that hold a connection now.", ["door", "bucket"])
WAITING = Gauge("tradingdb_waiting", "Calls that wait for a connection now.", ["door", "bucket"])


@dataclass(frozen=True, slots=True)
class Share:
    """What one class of calls may use: its part of the connections, and how long and how many wait for one."""

    part: float
    waiting_per_connection: int
    seconds: float


# In the order in which they go in. A class may hold no more than its part even where the others leave room:
# a burst of theirs must not have to wait for slow reads to end.
LANE: dict[Bucket, Share] = {
    "facts": Share(1.0, 200, 2.0),
    # The first call of each token after a start; strangers' bad tokens as well.
    "keys": Share(0.25, 100, 2.0),
    "commands": Share(0.5, 20, 1.0),
    "reads": Share(0.25, 10, 0.5),
}
SITE: dict[Bucket, Share] = {
    "facts": Share(1.0, 20, 5.0),
    "reads": Share(0.75, 5, 2.0),
}

# The doors of this process, for health.
GATES: dict[str, "Gate"] = {}


class _Class:
    """One class of calls at one door."""

    def __init__(self, door: str, name: Bucket, share: Share, size: int) -> None:
        self.name = name
        self.most = max(1, int(size * share.part))
        self.most_waiting = size * share.waiting_per_connection
        self.seconds = share.seconds
        self.inside = 0
        self.shed = 0
        self.queue: deque[asyncio.Future[None]] = deque()
        self._shed_counter = SHED.labels(door, name)
        INSIDE.labels(door, name).set_function(lambda: self.inside)
        WAITING.labels(door, name).set_function(lambda: len(self.queue))

    def refuse(self) -> Unavailable:
        self.shed += 1
        self._shed_counter.inc()
        return Unavailable("The server has more to do than it can; send the same call again.")


class Gate:
    """A door of one event loop. Those below facts together leave a quarter of the connections to facts alone.

    Within their share those below facts may use what is free, so facts that wait find the quarter empty or their own.
    """

    def __init__(self, door: str, size: int, shares: Mapping[Bucket, Share]) -> None:
        self.size = size
        self.pool_stats: Callable[[], Mapping[str, int]] = dict
        GATES[door] = self
        self._classes = {name: _Class(door, name, share, size) for name, share in shares.items()}
        self._inside = 0
        self._most_of_others = max(1, size - max(1, size // 4))

    @asynccontextmanager
    async def enter(self, bucket: Bucket) -> AsyncIterator[None]:
        """Hold one connection's worth of the pool. Raises Unavailable when this class has to stand back."""
        one = self._classes[bucket]
        if one.queue or not self._has_room(one):
            await self._wait(one)
        else:
            self._admit(one)
        try:
            yield
        finally:
            self._leave(one)

    def stats(self) -> dict[str, Any]:
        """Return what is inside, waits and was sent away, for health."""
        found = self.pool_stats()
        return {
            "size": self.size,
            "connections": found.get("pool_size", 0),
            "free": found.get("pool_available", 0),
            **{
                name: {"inside": one.inside, "waiting": len(one.queue), "shed": one.shed}
                for name, one in self._classes.items()
            },
        }

    def _has_room(self, one: _Class) -> bool:
        if self._inside >= self.size or one.inside >= one.most:
            return False
        facts = self._classes["facts"]
        return one is facts or (self._inside - facts.inside < self._most_of_others)

    def _admit(self, one: _Class) -> None:
        one.inside += 1
        self._inside += 1

    async def _wait(self, one: _Class) -> None:
        if len(one.queue) >= one.most_waiting:
            raise one.refuse()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        one.queue.append(turn)
        try:
            async with asyncio.timeout(one.seconds):
                await turn
        except BaseException as e:
            if turn.done() and not turn.cancelled():
                # Let in at the very moment of giving up: the place goes to the next.
                self._leave(one)
            elif turn in one.queue:
                one.queue.remove(turn)
            if isinstance(e, TimeoutError):
                raise one.refuse() from None
            raise

    def _leave(self, one: _Class) -> None:
        """Give up a place; free places go to those who wait, the most important first."""
        one.inside -= 1
        self._inside -= 1
        for waiting in self._classes.values():
            while waiting.queue and self._has_room(waiting):
                turn = waiting.queue.popleft()
                if not turn.done():
                    self._admit(waiting)
                    turn.set_result(None)
