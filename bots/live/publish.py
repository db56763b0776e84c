"""Publishing what a transaction changed, after its commit. PostgreSQL is the truth; a lost publish heals by itself.

Nothing here raises because Redis is away: the wait is bounded, the next second costs no wait at all, and what was lost
is counted and told once a minute.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import cache
from weakref import WeakKeyDictionary

from redis.asyncio.client import Redis as AsyncRedis
from redis.commands.core import AsyncScript, Script
from redis.exceptions import RedisError

from bots.live.client import async_client, sync_client
from bots.live.script import LUA, LiveUpdate, arguments

__all__ = ["LiveUpdate", "Outage", "apublish", "outage", "publish"]

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
LOG_SECONDS = 60.0


class Outage:
    """Knows whether Redis answers: after a failure nobody waits for it again until a pause is over."""

    def __init__(self) -> None:
        self.lost_updates = 0
        self._silent_until = 0.0
        self._logged_at = -LOG_SECONDS
        self._unlogged = 0

    def is_over(self) -> bool:
        """Whether the next call may try."""
        return time.monotonic() >= self._silent_until

    def lost(self, count: int, error: Exception | None = None) -> None:
        """Count updates that did not get through; `error` begins a pause."""
        now = time.monotonic()
        self.lost_updates += count
        self._unlogged += count
        if error is not None:
            self._silent_until = now + PAUSE_SECONDS
        if error is not None and now - self._logged_at >= LOG_SECONDS:
            logger.warning("Redis does not take live updates (%s); %d lost since the last line.", error, self._unlogged)
            self._logged_at, self._unlogged = now, 0

    def refused(self, operations: int) -> None:
        """Tell of keys that hold something else than ours."""
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS:
            logger.warning("%d live keys could not be written: another type is in their place.", operations)
            self._logged_at = now


outage = Outage()


@cache
def _script() -> Script:
    return sync_client().register_script(LUA)


def publish(updates: Sequence[LiveUpdate]) -> None:
    """Write and publish the updates of one transaction; called after its commit, from sync code."""
    if not updates:
        return
    if not outage.is_over():
        outage.lost(len(updates))
        return
    try:
        failed = _script()(args=arguments(updates))
    except RedisError as e:
        outage.lost(len(updates), e)
        return
    if failed:
        outage.refused(int(failed))


class _Batch:
    """Updates that travel in the same call."""

    __slots__ = ("is_taken", "updates")

    def __init__(self) -> None:
        self.updates: list[LiveUpdate] = []
        self.is_taken = False


class _Writer:
    """Sends one batch after another; what comes while one is on its way travels together in the next."""

    def __init__(self, client: AsyncRedis) -> None:
        self._script: AsyncScript = client.register_script(LUA)
        self._lock = asyncio.Lock()
        self._next = _Batch()

    async def write(self, updates: Sequence[LiveUpdate]) -> None:
        """Return when the updates are in Redis, or lost."""
        batch = self._next
        batch.updates += updates
        async with self._lock:
            if batch.is_taken:
                return
            batch.is_taken, self._next = True, _Batch()
            await self._send(batch.updates)

    async def _send(self, updates: list[LiveUpdate]) -> None:
        if not outage.is_over():
            outage.lost(len(updates))
            return
        try:
            failed = await self._script(args=arguments(updates))
        except RedisError as e:
            outage.lost(len(updates), e)
            return
        if failed:
            outage.refused(int(failed))


_writers: "WeakKeyDictionary[asyncio.AbstractEventLoop, _Writer]" = WeakKeyDictionary()


async def apublish(updates: Sequence[LiveUpdate]) -> None:
    """Write and publish the updates of one transaction; called after its commit, from the event loop."""
    if not updates:
        return
    if not outage.is_over():
        outage.lost(len(updates))
        return
    loop = asyncio.get_running_loop()
    writer = _writers.get(loop)
    if writer is None:
        writer = _writers[loop] = _Writer(await async_client())
    await writer.write(updates)
