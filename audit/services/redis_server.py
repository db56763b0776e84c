"""The Redis server, for what this app keeps and checks there."""

import redis
from django.conf import settings

SECONDS = 1.0


def redis_client() -> redis.Redis:
    """Return a new client whose every wait is bounded; close it after use."""
    url = settings.REDIS_URL or "redis://127.0.0.1:1/0"
    return redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS)
