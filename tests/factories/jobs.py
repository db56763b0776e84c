"""Schedules and runs of jobs."""

from typing import Any

from jobs.models import JobRun, JobSchedule
from tests.factories.base import NOON, create, numbers, utc


def JobScheduleFactory(**columns: Any) -> JobSchedule:  # noqa: N802
    """A schedule that computes yesterday's risk metrics at 00:30, next on the day after NOON; switched on."""
    defaults = {
        "name": f"schedule_{next(numbers)}",
        "job_type": "data_processing",
        "target": "risk_metrics_day",
        "cron": "30 0 * * *",
        "next_run_at": utc("2026-11-20 00:30") if columns.get("enabled", True) else None,
    }
    return create(JobSchedule, columns, defaults)


def JobRunFactory(**columns: Any) -> JobRun:  # noqa: N802
    """A run that waits since NOON, of a schedule made for it unless `job` is given; what it keeps follows from that."""
    job = columns.get("job") or JobScheduleFactory()
    defaults = {
        "job": job,
        "job_type": job.job_type,
        "scheduled_for": NOON,
        "enqueued_at": NOON,
        "job_snapshot": {"target": job.target, "task_params": job.task_params, "cron": job.cron, "trigger": "cron"},
    }
    return create(JobRun, columns, defaults)
