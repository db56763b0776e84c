"""Jobs of the audit app. Those of each minute are not tried again after a failure: the next one comes soon."""

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from audit.choices import HealthSystem
from audit.services.health import Check, health_record
from audit.services.health_checks import health_check
from audit.services.invariant_runs import runs_remove_old
from audit.services.system_metrics import system_metric_record
from audit.trail.verify import trail_verify
from tradingdb.lib.errors import Unavailable

DATABASE_AWAY = (OperationalError, InterfaceError)


@shared_task(acks_late=True, throws=DATABASE_AWAY)
def record_system_metrics() -> bool:
    """Keep one reading of this machine; return whether its minute had none yet."""
    return system_metric_record(now=timezone.now())


@shared_task(acks_late=True, throws=DATABASE_AWAY)
def check_health() -> dict[str, str]:
    """Look at every part of the house that can be seen from here; return the status of each."""
    now = timezone.now()
    # That this job came is the sign that the scheduler sends.
    scheduler = health_record(check=Check(HealthSystem.SCHEDULER), now=now)
    found = health_check(now=now)
    return {HealthSystem.SCHEDULER.value: scheduler.status, **{name: str(status) for name, status in found.items()}}


@shared_task(acks_late=True, throws=(*DATABASE_AWAY, Unavailable))
def verify_new_audit() -> bool:
    """Check the audit trail from the last good check on; return whether all is well."""
    return trail_verify(full=False)["ok"]


@shared_task(acks_late=True, time_limit=7200, soft_time_limit=7000, throws=(*DATABASE_AWAY, Unavailable))
def verify_audit() -> bool:
    """Check all of the audit trail; return whether all is well."""
    return trail_verify()["ok"]


@shared_task(autoretry_for=DATABASE_AWAY, retry_backoff=True, max_retries=5, acks_late=True)
def remove_old_invariant_runs() -> int:
    """Remove runs of the invariants that are older than 90 days. Tried again while the database is away."""
    return runs_remove_old(now=timezone.now())
