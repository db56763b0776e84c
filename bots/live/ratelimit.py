"""Rate limits: one Lua call (GCRA) a request, and a bucket in the process when Redis is away."""

import time
from collections import OrderedDict
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
local step = window / limit
local tat = tonumber(redis.call('HGET', KEYS[1], ARGV[3]) or t)
if tat < t then tat = t end
if tat - t + step > window then return math.ceil(tat - t + step - window) end
redis.call('HSET', KEYS[1], ARGV[3], string.format('%.3f', tat + step))
redis.call('PEXPIRE', KEYS[1], window)
return 0
"""


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
    limit = limit_of(bucket)
    if outage.is_over():
        try:
            client = await async_client()
            script = AsyncScript(client, GCRA)
            return int(await script(keys=[keys.rate_limit(bot_id)], args=[WINDOW_MS, limit, bucket]))
        except RedisError as e:
            outage.lost(0, e)
    return _local.wait_ms(bot_id, bucket, limit)


def wait_ms(bot_id: str, bucket: Bucket) -> int:
    """As await_ms, for sync code."""
    limit = limit_of(bucket)
    if outage.is_over():
        try:
            return int(_script()(keys=[keys.rate_limit(bot_id)], args=[WINDOW_MS, limit, bucket]))
        except RedisError as e:
            outage.lost(0, e)
    return _local.wait_ms(bot_id, bucket, limit)
