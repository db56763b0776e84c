"""Schedules and runs: what the database refuses, by the name of the rule."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from jobs.choices import JobType, RunStatus
from jobs.models import JobRun, JobSchedule
from tests.factories import NOON, JobRunFactory, JobScheduleFactory, UserFactory, utc

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(seconds=5)
STARTED: dict[str, Any] = {"started_at": NOON, "worker_id": "host/1"}
ENDED = {**STARTED, "finished_at": LATER}


def refused_by(make: Any, **columns: Any) -> str:
    """Return the name of the rule that keeps a row out."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        make(**columns)
    return str(caught.value.__cause__.diag.constraint_name)


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"job_type": "script"}, "job_schedules_valid_type"),
        ({"job_type": "REPORT"}, "job_schedules_valid_type"),
        ({"cron": "0 9 * *"}, "job_schedules_five_cron_fields"),
        ({"cron": "0 0 9 * * *"}, "job_schedules_five_cron_fields"),
        ({"cron": "@daily"}, "job_schedules_five_cron_fields"),
        ({"cron": "0  9 * * *"}, "job_schedules_five_cron_fields"),
        ({"cron": "0 9 * * *\n"}, "job_schedules_five_cron_fields"),
        ({"cron": "0 9 * * ;"}, "job_schedules_five_cron_fields"),
        ({"name": ""}, "job_schedules_named"),
        ({"target": ""}, "job_schedules_named"),
        ({"next_run_at": None}, "job_schedules_next_run_while_enabled"),
        ({"enabled": False, "next_run_at": NOON}, "job_schedules_next_run_while_enabled"),
    ],
)
def test_schedule_that_breaks_a_rule_is_refused(columns, rule):
    assert refused_by(JobScheduleFactory, **columns) == rule
    assert not JobSchedule.objects.exists()


@pytest.mark.parametrize("job_type", JobType.values)
def test_schedule_of_every_type_is_stored(job_type):
    JobScheduleFactory(job_type=job_type, enabled=False)

    assert JobSchedule.objects.get().job_type == job_type


def test_name_is_unique_for_each_person():
    user = UserFactory()
    JobScheduleFactory(name="nightly", user=user)
    JobScheduleFactory(name="nightly", user=UserFactory())

    assert refused_by(JobScheduleFactory, name="nightly", user=user) == "job_schedules_unique_name"


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"status": "done"}, "job_schedule_runs_valid_status"),
        ({"status": "PENDING"}, "job_schedule_runs_valid_status"),
        ({"job_type": "manual"}, "job_schedule_runs_valid_type"),
        ({**STARTED}, "job_schedule_runs_start_fits_status"),
        ({"status": "running"}, "job_schedule_runs_start_fits_status"),
        ({"status": "completed", "finished_at": LATER}, "job_schedule_runs_start_fits_status"),
        ({"status": "failed", "finished_at": LATER, "error": "x"}, "job_schedule_runs_start_fits_status"),
        ({"status": "pending", "finished_at": LATER}, "job_schedule_runs_end_fits_status"),
        ({"status": "running", **ENDED}, "job_schedule_runs_end_fits_status"),
        ({"status": "completed", **STARTED}, "job_schedule_runs_end_fits_status"),
        ({"status": "cancelled", "error": "x"}, "job_schedule_runs_end_fits_status"),
        ({"status": "completed", **ENDED, "finished_at": NOON - timedelta(seconds=1)},
         "job_schedule_runs_ends_after_start"),
        ({"status": "running", "started_at": NOON}, "job_schedule_runs_worker_while_started"),
        ({"status": "running", **STARTED, "worker_id": ""}, "job_schedule_runs_worker_while_started"),
        ({"worker_id": "host/1"}, "job_schedule_runs_worker_while_started"),
        ({"status": "failed", **ENDED}, "job_schedule_runs_says_why"),
        ({"status": "cancelled", "finished_at": LATER, "error": ""}, "job_schedule_runs_says_why"),
    ],
)  # fmt: skip
def test_run_that_breaks_a_rule_is_refused(columns, rule):
    job = JobScheduleFactory()

    assert refused_by(JobRunFactory, job=job, **columns) == rule
    assert not JobRun.objects.exists()


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"status": RunStatus.RUNNING, **STARTED},
        {"status": RunStatus.COMPLETED, **ENDED, "result": {"written": 1}},
        {"status": RunStatus.COMPLETED, **ENDED, "finished_at": NOON},
        {"status": RunStatus.FAILED, **ENDED, "error": "it broke"},
        {"status": RunStatus.CANCELLED, "finished_at": LATER, "error": "missed"},
        {"status": RunStatus.CANCELLED, **ENDED, "error": "stopped by a person"},
    ],
)
def test_run_in_every_state_is_stored(columns):
    JobRunFactory(**columns)

    assert JobRun.objects.filter(**columns).exists()


def test_a_nominal_time_of_a_job_has_one_run():
    run = JobRunFactory()
    JobRunFactory(job=run.job, scheduled_for=LATER)
    JobRunFactory(scheduled_for=run.scheduled_for)

    assert refused_by(JobRunFactory, job=run.job) == "ux_runs_job_scheduled_for"


def test_one_run_of_a_job_runs_at_a_time():
    first = JobRunFactory(status=RunStatus.RUNNING, **STARTED)
    JobRunFactory(status=RunStatus.RUNNING, **STARTED)

    second = {"job": first.job, "scheduled_for": LATER, "status": RunStatus.RUNNING, **STARTED}
    assert refused_by(JobRunFactory, **second) == "job_schedule_runs_one_running"


@pytest.mark.parametrize(
    ("table", "column", "rule"),
    [
        ("job_schedules", "next_run_at", "job_schedules_finite_times"),
        ("job_schedules", "created_at", "job_schedules_finite_times"),
        ("job_schedules", "updated_at", "job_schedules_finite_times"),
        ("job_schedule_runs", "scheduled_for", "job_schedule_runs_finite_times"),
        ("job_schedule_runs", "enqueued_at", "job_schedule_runs_finite_times"),
        ("job_schedule_runs", "started_at", "job_schedule_runs_finite_times"),
        ("job_schedule_runs", "finished_at", "job_schedule_runs_finite_times"),
    ],
)
@pytest.mark.parametrize("moment", ["infinity", "-infinity"])
def test_a_time_that_never_comes_is_refused(table, column, rule, moment):
    JobRunFactory(status=RunStatus.COMPLETED, **ENDED)
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = %s::timestamptz", [moment])

    # PostgreSQL asks the rules in the order of their names; -infinity may break the order of start and end first.
    assert caught.value.__cause__.diag.constraint_name in (rule, "job_schedule_runs_ends_after_start")


@pytest.mark.parametrize("value", ["{'a': 1}", '{"a": NaN}'])
def test_params_are_json(value):
    schedule = JobScheduleFactory()
    with pytest.raises(DataError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE job_schedules SET task_params = %s::jsonb WHERE id = %s", [value, schedule.pk])


def test_a_person_who_goes_leaves_schedules_and_runs():
    user = UserFactory()
    run = JobRunFactory(job=JobScheduleFactory(user=user), user=user)

    user.delete()

    run.refresh_from_db()
    assert (run.user_id, run.job.user_id) == (None, None)


def test_next_time_is_written_by_no_trigger():
    schedule = JobScheduleFactory(next_run_at=utc("2026-11-20 00:30"))
    JobSchedule.objects.filter(pk=schedule.pk).update(cron="0 1 * * *", enabled=True)

    schedule.refresh_from_db()
    assert schedule.next_run_at == utc("2026-11-20 00:30")
