"""Runs of jobs: made once for each nominal time, claimed by one worker, ended by it or given up.

A dispatcher makes the rows and sends their ids; a worker that gets an id claims the row. Ids may be sent twice or get
lost: the row decides.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from audit.services.actions import SYSTEM
from jobs.choices import ENDED_STATUSES, RunStatus
from jobs.cron import cron_read
from jobs.models import JobRun, JobSchedule
from jobs.progress import heard_by
from jobs.registry import job_find, params_read
from tradingdb.lib.errors import DomainError
from tradingdb.lib.logs import redact

logger = logging.getLogger(__name__)

# A run that nobody took for so long after its nominal time is missed.
GRACE = timedelta(seconds=300)
# The worker's processes end a task after 300 s; what still "runs" after this has lost its worker.
SILENT_AFTER = timedelta(seconds=360)
KEPT_FOR = timedelta(days=90)
# Nominal times of one schedule that one call makes rows for; an outage of weeks is caught up in several.
TIMES_AT_ONCE = 5000
ERROR_LENGTH = 2000


def runs_enqueue_due(*, now: datetime) -> int:
    """Make the rows of all nominal times that have come; return how many times were looked at. Safe to run twice.

    A time that is more than 300 s old is kept as cancelled, with the reason.
    """
    due = JobSchedule.objects.filter(enabled=True, next_run_at__lte=now).order_by("pk").values_list("pk", flat=True)
    return sum(_enqueue(pk, now) for pk in list(due))


@transaction.atomic
def _enqueue(schedule_id: int, now: datetime) -> int:
    due = JobSchedule.objects.select_for_update(skip_locked=True).filter(
        pk=schedule_id, enabled=True, next_run_at__lte=now
    )
    schedule = due.first()
    if schedule is None:
        return 0
    try:
        return schedule_catch_up(schedule, now=now)
    except ValueError as e:
        # Written past the services. Switched off, so that it is seen and keeps no other schedule waiting.
        JobSchedule.objects.filter(pk=schedule.pk).update(enabled=False, next_run_at=None, updated_at=now)
        SYSTEM.record("job_schedule.switch_off", "job_schedule", str(schedule.pk), reason=str(e))
        return 0


def schedule_catch_up(schedule: JobSchedule, *, now: datetime) -> int:
    """Make the rows of a locked, enabled schedule up to now and set its next time; return the number of times.

    Raises ValueError when its cron expression is none.
    """
    cron = cron_read(schedule.cron)
    if schedule.next_run_at is None:
        return 0
    # What is older than runs are kept is not made in order to be removed.
    start = max(schedule.next_run_at, now - KEPT_FOR)
    times = list(islice(cron.times(start, now), TIMES_AT_ONCE))
    told = snapshot(schedule, trigger="cron")
    # The unique key decides about a time that has its row already.
    JobRun.objects.bulk_create([_due(schedule, at, told, now) for at in times], ignore_conflicts=True)
    schedule.next_run_at = cron.next_after(times[-1] if times else now)
    schedule.save(update_fields=["next_run_at"])
    return len(times)


def _due(schedule: JobSchedule, at: datetime, told: Mapping[str, Any], now: datetime) -> JobRun:
    run = JobRun(
        job=schedule, job_type=schedule.job_type, user_id=schedule.user_id, scheduled_for=at, enqueued_at=now,
        job_snapshot=told,
    )  # fmt: skip
    if now - at > GRACE:
        run.status = RunStatus.CANCELLED
        run.finished_at = now
        run.error = f"Missed: no dispatcher ran until {(now - at).total_seconds():.0f} s after its time."
    return run


def snapshot(schedule: JobSchedule, *, trigger: str) -> dict[str, Any]:
    """Return what a run keeps of its schedule, and what asked for it: cron or a person (manual)."""
    return {
        "schedule_id": schedule.pk,
        "schedule_name": schedule.name,
        "job_type": schedule.job_type,
        "target": schedule.target,
        "task_params": schedule.task_params,
        "cron": schedule.cron,
        "trigger": trigger,
    }


def runs_give_up(*, now: datetime) -> int:
    """Cancel the runs that nobody took in time and fail those whose worker fell silent; return how many."""
    missed = JobRun.objects.filter(status=RunStatus.PENDING, scheduled_for__lt=now - GRACE).update(
        status=RunStatus.CANCELLED,
        finished_at=now,
        error=f"Missed: no worker took it within {GRACE.total_seconds():.0f} s of its time.",
    )
    silent = JobRun.objects.filter(status=RunStatus.RUNNING, started_at__lt=now - SILENT_AFTER).update(
        status=RunStatus.FAILED,
        finished_at=Greatest(F("started_at"), Value(now)),
        error=f"Its worker fell silent: no end {SILENT_AFTER.total_seconds():.0f} s after it started.",
    )
    return missed + silent


def runs_waiting(*, limit: int = 100) -> list[int]:
    """Return the ids of runs that wait for a worker, the oldest nominal time first."""
    waiting = JobRun.objects.filter(status=RunStatus.PENDING).order_by("scheduled_for", "pk")
    return list(waiting.values_list("pk", flat=True)[:limit])


@transaction.atomic
def run_claim(*, run_id: int, worker_id: str, now: datetime) -> JobRun | None:
    """Take a waiting run and return it, running; None when it is not to be had.

    That is: somebody else has it or is taking it, it is over, or another run of the same schedule is still going.
    """
    waiting = JobRun.objects.select_related("job").filter(pk=run_id, status=RunStatus.PENDING)
    # The schedule is locked as well, so that two runs of it are not started side by side.
    run = waiting.select_for_update(skip_locked=True, of=("self", "job")).first()
    if run is None or JobRun.objects.filter(job_id=run.job_id, status=RunStatus.RUNNING).exists():
        return None
    run.status, run.started_at, run.worker_id = RunStatus.RUNNING, now, worker_id[:255]
    run.save(update_fields=["status", "started_at", "worker_id"])
    return run


def run_execute(*, run_id: int, worker_id: str) -> JobRun | None:
    """Claim a run, call what it names, and keep the end of it; None when the run was not to be had."""
    run = run_claim(run_id=run_id, worker_id=worker_id, now=timezone.now())
    if run is None:
        return None
    told = run.job_snapshot
    try:
        job = job_find(job_type=run.job_type, target=told["target"])
        with heard_by(partial(run_tell, run)):
            result = job.run(params_read(job, told["task_params"]), run.scheduled_for)
    except DomainError as e:
        return run_end(run, status=RunStatus.FAILED, error=e.message)
    except Exception as e:  # Whatever its function raises: a run does not vanish from history.
        logger.exception("Job %s failed in run %s", told.get("target"), run.pk)
        return run_end(run, status=RunStatus.FAILED, error=f"{type(e).__name__}: {e}")
    return run_end(run, status=RunStatus.COMPLETED, result=result)


def run_tell(run: JobRun, state: Mapping[str, Any]) -> None:
    """Keep how far a claimed run is, where its answer will stand."""
    JobRun.objects.filter(pk=run.pk, status=RunStatus.RUNNING, worker_id=run.worker_id).update(result=dict(state))


def run_end(
    run: JobRun, *, status: RunStatus, result: Mapping[str, Any] | None = None, error: str | None = None
) -> JobRun:
    """Keep how a claimed run ended; one that was given up meanwhile stays as it is. Returns the row as it is now.

    Without an answer what it told last stays.
    """
    now = timezone.now()
    answer = {} if result is None else {"result": dict(result)}
    JobRun.objects.filter(pk=run.pk, status=RunStatus.RUNNING, worker_id=run.worker_id).update(
        status=status,
        # Another host's clock may have given the start.
        finished_at=Greatest(F("started_at"), Value(now)),
        error=redact(error)[:ERROR_LENGTH] if error is not None else None,
        **answer,
    )
    run.refresh_from_db()
    return run


def runs_remove_old(*, now: datetime) -> int:
    """Remove the ended runs whose nominal time is more than 90 days ago; return how many."""
    removed, _ = JobRun.objects.filter(status__in=ENDED_STATUSES, scheduled_for__lt=now - KEPT_FOR).delete()
    return removed
