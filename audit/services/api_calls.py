"""Hot calls by the minute: each web process adds what it counted to a sum in Redis, and a job reads the sum.

The counters of a process are its own, and a job runs in none of the web processes. A call counts in the minute in which
it is told, at most five seconds after it was answered; an answer of Redis that is lost may make some count twice.
"""

import threading
from datetime import UTC, datetime
from typing import NamedTuple

import redis
from django.conf import settings
from django.utils import timezone
from redis.exceptions import RedisError

from audit.services.redis_server import redis_client
from tradingdb.lib import telemetry

INTERVAL_SECONDS = 5.0
KEPT_SECONDS = 3600
# From this status on it is our failure, not the bot's.
FIRST_ERROR = 500


class Calls(NamedTuple):
    """How many calls, and how many of them failed on our side."""

    requests: int
    errors: int


def key_of(moment: datetime) -> str:
    """Return the key of the sum of a UTC minute."""
    return f"{settings.REDIS_PREFIX}calls:{moment.astimezone(UTC):%Y%m%dT%H%M}"


def counted() -> Calls:
    """Return what this process has counted since it started."""
    requests = errors = 0
    for metric in telemetry.CALLS.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                requests += int(sample.value)
                errors += int(sample.value) if int(sample.labels["status"]) >= FIRST_ERROR else 0
    return Calls(requests, errors)


def calls_in(moment: datetime) -> Calls | None:
    """Return the sum of a UTC minute; None when no web process told anything, or Redis is away."""
    try:
        with redis_client() as client:
            found = client.hmget(key_of(moment), ["requests", "errors"])
    except RedisError:
        return None
    requests, errors = found
    return Calls(int(requests), int(errors)) if requests is not None and errors is not None else None


class CallReporter:
    """Tells of the calls of this process, from a thread of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._told = Calls(0, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="call reporter", daemon=True)

    def start(self) -> None:
        """Begin to tell every five seconds."""
        self._thread.start()

    def close(self) -> None:
        """Tell the rest and end."""
        self._stop.set()
        self._thread.join(timeout=INTERVAL_SECONDS)
        self._client.close()

    def report(self, now: datetime) -> None:
        """Add what is new to the sum of the minute; nothing new is told too, for it says that somebody counts.

        Raises RedisError; then the same is told with the next.
        """
        total = counted()
        with self._client.pipeline() as pipe:
            pipe.hincrby(key_of(now), "requests", total.requests - self._told.requests)
            pipe.hincrby(key_of(now), "errors", total.errors - self._told.errors)
            pipe.expire(key_of(now), KEPT_SECONDS)
            pipe.execute()
        self._told = total

    def _run(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._stop.wait(INTERVAL_SECONDS)
            try:
                self.report(timezone.now())
            except RedisError:
                # Redis is watched by the health checks; the count waits for it.
                continue
