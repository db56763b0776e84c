"""Rate limits: one Lua call (GCRA) for a request or a lease of some, and a bucket in the process when Redis is away."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from typing import Literal

from django.conf import settings
from redis.commands.core import AsyncScript, Script
from redis.exceptions import RedisError

from bots.live import keys
from bots.live.client import async_client, sync_client
from bots.live.publish import outage

Bucket = Literal["facts", "commands", "reads"]
WINDOW_MS = 60_000

# Generic cell rate algorithm: one key holds the time at which the bucket is empty again. It always has a TTL, so a
# crash cannot lock a bot out, and a burst at the edge of a window cannot pass twice the limit.
GCRA = """
local now = redis.call('TIME')
local t = now[1] * 1000 + now[2] / 1000
local window, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local step = window / limit * tonumber(ARGV[4])
local tat = tonumber(redis.call('HGET', KEYS[1], ARGV[3]) or t)
if tat < t then tat = t end
if tat - t + step > window then return math.ceil(tat - t + step - window) end
redis.call('HSET', KEYS[1], ARGV[3], string.format('%.3f', tat + step))
redis.call('PEXPIRE', KEYS[1], window)
return 0
"""


@dataclass(slots=True)
class Lease:
    """Calls that Redis admitted in advance for one bot and bucket in this process."""

    left: int
    size: int
    until: float


class Leases:
    """Which calls need not ask Redis: a bot that calls often is admitted some at a time, and so asks seldom.

    A lease is never more than half a second's share of the limit, and ends after a second; it is one call until the
    calls before it came as quickly. What is leased was counted, so no process and no number of them admits more than
    the limit. A limit below 240 a minute is counted call by call.
    """

    SECONDS = 1.0
    MOST = 50

    def __init__(self, most: int = 10_000) -> None:
        self._leases: OrderedDict[tuple[str, str], Lease] = OrderedDict()
        self._most = most

    def admits(self, bot_id: str, bucket: Bucket) -> bool:
        """Whether a lease covers this call."""
        lease = self._leases.get((bot_id, bucket))
        if lease is None or not lease.left or time.monotonic() >= lease.until:
            return False
        lease.left -= 1
        return True

    def next_size(self, bot_id: str, bucket: Bucket, limit: int) -> int:
        """Return how many calls to ask for: twice the last lease while leases are used up, else one."""
        lease = self._leases.get((bot_id, bucket))
        if lease is None or lease.left or time.monotonic() >= lease.until:
            return 1
        return max(1, min(lease.size * 2, self.MOST, limit // 120))

    def note(self, bot_id: str, bucket: Bucket, size: int) -> None:
        """Keep what Redis admitted; the call that asked has used one of it."""
        self._leases[bot_id, bucket] = Lease(size - 1, size, time.monotonic() + self.SECONDS)
        self._leases.move_to_end((bot_id, bucket))
        if len(self._leases) > self._most:
            self._leases.popitem(last=False)


class LocalBuckets:
    """The same algorithm in this process, for the time Redis is away; remembers the last 10,000 buckets."""

    def __init__(self, most: int = 10_000) -> None:
        self._tats: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._most = most

    def wait_ms(self, bot_id: str, bucket: Bucket, limit: int) -> int:
        """Return 0 to admit, else how long to wait."""
        now = time.monotonic() * 1000
        step = WINDOW_MS / limit
        tat = max(self._tats.pop((bot_id, bucket), now), now)
        wait = tat - now + step - WINDOW_MS
        self._tats[bot_id, bucket] = tat if wait > 0 else tat + step
        if len(self._tats) > self._most:
            self._tats.popitem(last=False)
        return max(0, int(wait) + 1) if wait > 0 else 0


_local = LocalBuckets()
_leases = Leases()


def limit_of(bucket: Bucket) -> int:
    """Return how many calls a minute the bucket admits."""
    limits: dict[Bucket, int] = {
        "facts": settings.RATE_LIMIT_FACTS_PER_MINUTE,
        "commands": settings.RATE_LIMIT_COMMANDS_PER_MINUTE,
        "reads": settings.RATE_LIMIT_READS_PER_MINUTE,
    }
    return limits[bucket]


@cache
def _script() -> Script:
    return sync_client().register_script(GCRA)


async def await_ms(bot_id: str, bucket: Bucket) -> int:
    """Return 0 to admit a call, else the milliseconds until one is admitted."""
    if _leases.admits(bot_id, bucket):
        return 0
    limit = limit_of(bucket)
    if outage.is_over():
        try:
            script = AsyncScript(await async_client(), GCRA)
            for size in sorted({_leases.next_size(bot_id, bucket, limit), 1}, reverse=True):
                wait = int(await script(keys=[keys.rate_limit(bot_id)], args=[WINDOW_MS, limit, bucket, size]))
                if not wait:
                    _leases.note(bot_id, bucket, size)
                    return 0
            return wait
        except RedisError as e:
            outage.lost(0, e)
    return _local.wait_ms(bot_id, bucket, limit)


def wait_ms(bot_id: str, bucket: Bucket) -> int:
    """As await_ms, for sync code."""
    limit = limit_of(bucket)
    if outage.is_over():
        try:
            return int(_script()(keys=[keys.rate_limit(bot_id)], args=[WINDOW_MS, limit, bucket, 1]))
        except RedisError as e:
            outage.lost(0, e)
    return _local.wait_ms(bot_id, bucket, limit)
