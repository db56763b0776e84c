"""Health: whether this process lives, and whether what it needs answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import redis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from psycopg_pool import PoolTimeout

from tradingdb.lib.gate import GATES

SECONDS = 2.0
_is_migrated = False


async def live(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


async def ready(request: HttpRequest) -> JsonResponse:
    """Each dependency by name: ok, or what is wrong with it in one word; 503 unless all are ok. `pools` only tells."""
    checks = {"postgresql": _database, "redis": _redis}
    states = dict(zip(checks, await asyncio.gather(*map(_within_time, checks.values())), strict=True))
    is_ready = all(state == "ok" for state in states.values())
    body = {"status": "ok" if is_ready else "not ready", "checks": states, "pools": pools(), **row_security()}
    return JsonResponse(body, status=200 if is_ready else 503)


def row_security() -> dict[str, str]:
    """Say so where bots are served by the application's own login, which row security does not bind; else nothing."""
    return (
        {} if settings.BOT_ROLE else {"row_security": "does not bind bots: BOT_DATABASE_URL is no login of their own"}
    )


def pools() -> dict[str, Any]:
    """Return for each door of this process what is inside, waits and was sent away, and the connections behind it."""
    return {name: gate.stats() for name, gate in GATES.items()}


async def _within_time(check: Callable[[], str]) -> str:
    try:
        return await asyncio.wait_for(sync_to_async(check, thread_sensitive=False)(), SECONDS)
    except TimeoutError:
        return "timeout"


def _database() -> str:
    global _is_migrated
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _is_migrated:
            executor: Any = MigrationExecutor(connection)
            _is_migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, InterfaceError, PoolTimeout):
        return "unreachable"
    finally:
        connection.close()
    return "ok" if _is_migrated else "not migrated"


def _redis() -> str:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
    try:
        client.ping()
    except redis.RedisError:
        return "unreachable"
    finally:
        client.close()
    return "ok"
