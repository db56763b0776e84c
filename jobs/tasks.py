"""Jobs of the jobs app: sending what is due, running it, removing what is old."""

import os

from celery import Task, shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from jobs.services.runs import run_execute, runs_enqueue_due, runs_give_up, runs_remove_old, runs_waiting

DATABASE_AWAY = (OperationalError, InterfaceError)
# An id that no worker took for so long is dropped: the dispatcher sends it again every 15 s.
SENT_FOR_SECONDS = 30


@shared_task(acks_late=True, throws=DATABASE_AWAY)
def dispatch_jobs() -> dict[str, int]:
    """Make the runs that are due, give up those that are lost, send what waits. Not tried again: the next one comes."""
    now = timezone.now()
    done = {"due": runs_enqueue_due(now=now), "given_up": runs_give_up(now=now)}
    waiting = runs_waiting()
    for run_id in waiting:
        run_job.apply_async((run_id,), expires=SENT_FOR_SECONDS)
    return {**done, "sent": len(waiting)}


@shared_task(bind=True, acks_late=True, throws=DATABASE_AWAY)
def run_job(self: Task, run_id: int) -> str:
    """Run what waits under this id; return how it ended. Not tried again: a run happens once, and its end is kept."""
    run = run_execute(run_id=run_id, worker_id=f"{self.request.hostname}/{os.getpid()}")
    return run.status if run is not None else "not to be had"


@shared_task(autoretry_for=DATABASE_AWAY, retry_backoff=True, max_retries=5, acks_late=True)
def remove_old_runs() -> int:
    """Remove runs that are older than 90 days. Tried again while the database is away."""
    return runs_remove_old(now=timezone.now())
