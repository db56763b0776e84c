"""The Redis server, for what this app keeps and checks there."""

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

SECONDS = 1.0


def redis_client() -> redis.Redis:
    """Return a new client whose every wait is bounded; close it after use."""
    url = settings.REDIS_URL or "redis://127.0.0.1:1/0"
    # Once more at once, for a connection that died in the pool; redis-py would go on for seconds.
    retry = Retry(NoBackoff(), 1)
    return redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS, retry=retry)
