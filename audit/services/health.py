"""How the parts of the house are: one row each, told by whoever checks it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from audit.choices import HealthStatus
from audit.models import SystemHealth
from tradingdb.lib.logs import redact

# A check is worth this long; then nobody knows.
STALE_AFTER = timedelta(minutes=5)
SLOW_MS = 1000
OLD_SHARE, NEW_SHARE = 0.7, 0.3
ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at a part of the house found. With an `error` it failed; `response_ms` is of a timed, good one."""

    system: str
    component: str | None = None
    response_ms: int | None = None
    error: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> HealthStatus:
        """DOWN when it failed, DEGRADED when it took more than a second."""
        if self.error:
            return HealthStatus.DOWN
        is_slow = self.response_ms is not None and self.response_ms > SLOW_MS
        return HealthStatus.DEGRADED if is_slow else HealthStatus.HEALTHY


@transaction.atomic
def health_record(*, check: Check, now: datetime) -> SystemHealth:
    """Bring the row of one part up to date; a check older than the one that is stored changes nothing."""
    row, _ = SystemHealth.objects.get_or_create(
        system=check.system,
        component=check.component,
        defaults={"status": HealthStatus.UNKNOWN, "checked_at": now},
    )
    row = SystemHealth.objects.select_for_update().get(pk=row.pk)
    if row.checked_at > now:
        return row
    row.status, row.checked_at, row.metadata = check.status, now, dict(check.metadata)
    if check.error:
        row.last_failure = now
        row.failure_count += 1
        row.error_message = redact(check.error)[:ERROR_LENGTH]
    else:
        row.last_success = now
        row.failure_count = 0
        row.error_message = None
        row.avg_response_time_ms = moving_mean(row.avg_response_time_ms, check.response_ms)
    row.save()
    return row


def moving_mean(old: int | None, new: int | None) -> int | None:
    """Return the mean with one more value in it, in whole milliseconds; a check without a time leaves it as it was."""
    if old is None or new is None:
        return old if new is None else new
    return round(OLD_SHARE * old + NEW_SHARE * new)


def status_at(row: SystemHealth, now: datetime) -> HealthStatus:
    """Return what is known of a part now: its last check, UNKNOWN once that is older than five minutes."""
    return HealthStatus.UNKNOWN if now - row.checked_at > STALE_AFTER else HealthStatus(row.status)


def overall(statuses: Iterable[str]) -> HealthStatus:
    """Return one word for all: DOWN if any is, else DEGRADED if any is, HEALTHY if all are, else UNKNOWN."""
    found = set(statuses)
    for worst in (HealthStatus.DOWN, HealthStatus.DEGRADED):
        if worst in found:
            return worst
    return HealthStatus.HEALTHY if found == {HealthStatus.HEALTHY} else HealthStatus.UNKNOWN


def health_overall(now: datetime) -> HealthStatus:
    """Return one word for the whole house."""
    return overall(status_at(row, now) for row in SystemHealth.objects.all())
