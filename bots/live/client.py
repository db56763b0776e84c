"""Redis clients of the live layer: one per process for sync code, one per event loop for async code.

Every wait is bounded: redis-py would otherwise retry with seconds of back-off while a bot waits for its answer.
"""

import asyncio
from collections.abc import AsyncGenerator
from functools import cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

CONNECT_SECONDS = 0.25
ANSWER_SECONDS = 0.5
# Once more at once: a pooled connection may be a dead one from before a restart.
RETRIES = 1


class _Kept(NamedTuple):
    """A client and the generator that closes it when its event loop ends."""

    client: redis.asyncio.Redis
    keeper: AsyncGenerator[None, None]


_per_loop: "WeakKeyDictionary[asyncio.AbstractEventLoop, _Kept]" = WeakKeyDictionary()


def url() -> str:
    """Return the address of Redis; without one, a port where nothing answers."""
    return str(settings.REDIS_URL or "redis://127.0.0.1:1/0")


@cache
def sync_client() -> redis.Redis:
    """Return this process's client. redis-py's pool notices a fork and opens connections of its own."""
    return redis.Redis.from_url(
        url(),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), RETRIES),
    )


async def async_client() -> redis.asyncio.Redis:
    """Return the client of the running event loop; a connection cannot be shared between loops."""
    loop = asyncio.get_running_loop()
    kept = _per_loop.get(loop)
    if kept is None:
        client = redis.asyncio.Redis.from_url(
            url(),
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=AsyncRetry(NoBackoff(), RETRIES),
            # Writes are sent one batch after another, and a connection of one's own halves the cost of each.
            single_connection_client=True,
        )
        kept = _per_loop[loop] = _Kept(client, _close_with_loop(client))
        await anext(kept.keeper)
    return kept.client


async def _close_with_loop(client: redis.asyncio.Redis) -> AsyncGenerator[None, None]:
    """Close the client when the loop shuts down its async generators, the one moment a loop tells of its end."""
    try:
        yield
    finally:
        await client.aclose()


def subscriber_client() -> redis.asyncio.Redis:
    """Return a new client for a pub/sub reader, which waits for messages and finds out by itself when it is cut off."""
    return redis.asyncio.Redis.from_url(
        url(), socket_connect_timeout=CONNECT_SECONDS, socket_timeout=ANSWER_SECONDS, retry=AsyncRetry(NoBackoff(), 0)
    )
