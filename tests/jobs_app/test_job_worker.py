"""A job from its schedule to its end, through a real worker."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from celery import current_app
from django.utils import timezone

from bots.live.client import sync_client
from jobs.models import JobRun, JobSchedule
from tests.factories import JobScheduleFactory
from tests.jobs.celery_processes import eventually, worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def prefix() -> Iterator[str]:
    """Redis keys of one test."""
    prefix = f"test-{uuid4().hex}:"
    yield prefix
    for key in sync_client().scan_iter(f"{prefix}*"):
        sync_client().delete(key)


def dispatch(prefix: str) -> None:
    """Send what beat sends every 15 s."""
    options = {**current_app.conf.broker_transport_options, "global_keyprefix": f"{prefix}celery:"}
    with current_app.connection_for_write(transport_options=options) as broker:
        current_app.send_task("jobs.tasks.dispatch_jobs", connection=broker)


def test_beat_sends_the_dispatcher():
    entry = current_app.conf.beat_schedule["dispatch jobs"]

    assert (entry["task"], entry["schedule"], entry["options"]) == ("jobs.tasks.dispatch_jobs", 15.0, {"expires": 15})


def test_a_worker_runs_each_due_time_once_though_it_is_sent_twice(tmp_path: Path, prefix: str) -> None:
    minute = timezone.now().replace(second=0, microsecond=0)
    first = minute - timedelta(minutes=2)
    schedule = JobScheduleFactory(cron="* * * * *", next_run_at=first, target="risk_metrics_stale")

    with worker(tmp_path, prefix=prefix) as running:
        for _ in range(2):
            dispatch(prefix)

        # Runs of one schedule come one after the other; what was busy is sent again.
        def is_done() -> bool:
            dispatch(prefix)
            return JobRun.objects.filter(job=schedule, scheduled_for__lte=minute, status="completed").count() == 3

        eventually(is_done, running.log)

    runs = JobRun.objects.filter(scheduled_for__lte=minute).order_by("scheduled_for")
    assert [run.scheduled_for - first for run in runs] == [timedelta(minutes=n) for n in range(3)]
    assert {(run.status, run.error, str(run.result)) for run in runs} == {
        ("completed", None, "{'written': 0, 'unchanged': 0}")
    }
    assert all(run.worker_id.startswith("celery@") and "/" in run.worker_id for run in runs)
    assert JobSchedule.objects.get().next_run_at > minute
    assert "Traceback" not in running.log()
