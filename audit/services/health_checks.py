"""The checks that a job makes each minute. What it cannot see from where it runs is told by others, or not at all."""

import math
import time
from collections.abc import Callable
from datetime import datetime

import httpx
from django.conf import settings
from django.db import connection
from redis.exceptions import RedisError

from audit.choices import HealthStatus, HealthSystem
from audit.services.health import Check, health_record
from audit.services.redis_server import redis_client
from audit.trail.seals import UNSEALED_SECONDS, unsealed

HTTP_SECONDS = 5.0


def check_database() -> Check:
    """Ask PostgreSQL for a constant. Raises OperationalError when it is away: nothing can be stored then."""
    return Check(HealthSystem.DATABASE, response_ms=query_ms())


def query_ms() -> int:
    """Return how long a trivial query takes from here, in milliseconds, rounded up."""
    with connection.cursor() as cursor:
        # Opened before the clock starts: what is measured is a query, not a connection.
        began = time.perf_counter()
        cursor.execute("SELECT 1")
        return milliseconds_since(began)


def check_redis() -> Check:
    """Ping Redis."""
    with redis_client() as client:
        began = time.perf_counter()
        try:
            client.ping()
        except RedisError as e:
            return Check(HealthSystem.REDIS, error=str(e))
        return Check(HealthSystem.REDIS, response_ms=milliseconds_since(began))


def check_api_service() -> Check:
    """Ask the web server whether it is ready, under the address that bots use."""
    return _check_page(HealthSystem.API_SERVICE, "/health/ready")


def check_web_ui() -> Check:
    """Get the page on which people sign in."""
    return _check_page(HealthSystem.WEB_UI, "/account/login/")


def _check_page(system: HealthSystem, path: str) -> Check:
    began = time.perf_counter()
    try:
        answer = httpx.get(f"{settings.BASE_URL}{path}", timeout=HTTP_SECONDS, trust_env=False)
    except httpx.HTTPError as e:
        return Check(system, error=f"GET {path}: {e or type(e).__name__}")
    if answer.status_code != httpx.codes.OK:
        return Check(system, error=f"GET {path}: status {answer.status_code}")
    return Check(system, response_ms=milliseconds_since(began))


def check_seals() -> Check:
    """See how long the oldest change of the audit trail has waited for its seal; a minute is too long."""
    waiting = unsealed()
    told = {"unsealed_rows": waiting.rows, "unsealed_seconds": round(waiting.seconds, 3)}
    late = f"{waiting.rows} changes are not sealed, the oldest for {waiting.seconds:.0f} s"
    error = late if waiting.seconds > UNSEALED_SECONDS else ""
    return Check(HealthSystem.DATABASE, component="audit seals", error=error, metadata=told)


CHECKS: tuple[Callable[[], Check], ...] = (
    check_database, check_redis, check_api_service, check_web_ui, check_seals
)  # fmt: skip


def health_check(*, now: datetime) -> dict[str, HealthStatus]:
    """Make every check and store what it found; return the status of each system."""
    statuses = {}
    for check in [make() for make in CHECKS]:
        row = health_record(check=check, now=now)
        statuses[str(row)] = HealthStatus(row.status)
    return statuses


def milliseconds_since(began: float) -> int:
    """Return the time since a reading of the clock, rounded up: nothing takes no time."""
    return math.ceil((time.perf_counter() - began) * 1000)
