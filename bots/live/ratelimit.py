"""Rate limits of bots: one Lua call for a request or a lease of some; a bucket in the process when Redis is away."""

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
from tradingdb.lib.buckets import TAKE, Charge, LocalBuckets, arguments

Bucket = Literal["facts", "commands", "reads"]
WINDOW_MS = 60_000


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


def charge(bot_id: str, bucket: Bucket, *, calls: int = 1) -> Charge:
    """Return what some calls of a bot cost. A bot has one key, whose fields are its buckets."""
    return Charge(keys.rate_limit(bot_id), bucket, WINDOW_MS, WINDOW_MS / limit_of(bucket) * calls)


@cache
def _script() -> Script:
    return sync_client().register_script(TAKE)


async def await_ms(bot_id: str, bucket: Bucket) -> int:
    """Return 0 to admit a call, else the milliseconds until one is admitted."""
    if _leases.admits(bot_id, bucket):
        return 0
    limit = limit_of(bucket)
    if outage.is_over():
        try:
            script = AsyncScript(await async_client(), TAKE)
            for size in sorted({_leases.next_size(bot_id, bucket, limit), 1}, reverse=True):
                names, words = arguments([charge(bot_id, bucket, calls=size)])
                wait = int(await script(keys=names, args=words))
                if not wait:
                    _leases.note(bot_id, bucket, size)
                    return 0
            return wait
        except RedisError as e:
            outage.lost(0, e)
    return _local.take([charge(bot_id, bucket)])


def wait_ms(bot_id: str, bucket: Bucket) -> int:
    """As await_ms, for sync code."""
    one = charge(bot_id, bucket)
    if outage.is_over():
        try:
            names, words = arguments([one])
            return int(_script()(keys=names, args=words))
        except RedisError as e:
            outage.lost(0, e)
    return _local.take([one])
