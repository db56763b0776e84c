"""Schedules in the hands of people: made, changed, switched off, run at once; each with an action that tells it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from audit.models import UserAction
from audit.services.actions import Actor
from jobs.choices import RunStatus
from jobs.models import JobRun, JobSchedule
from jobs.services.schedules import NewSchedule, schedule_change, schedule_create, schedule_run_now
from tests.factories import NOON, JobRunFactory, JobScheduleFactory, UserFactory, utc
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def actor() -> Actor:
    return Actor(UserFactory(email="desk@example.com"))


def new(**values: Any) -> NewSchedule:
    nightly = {"name": "nightly", "job_type": "data_processing", "target": "risk_metrics_day", "cron": "30 0 * * *"}
    return NewSchedule(**{**nightly, **values})


def actions() -> list[tuple[str, str, Any, Any, str]]:
    rows = UserAction.objects.order_by("id")
    return [(row.action, row.user_email, row.before, row.after, row.reason) for row in rows]


def test_schedule_is_made_with_its_next_time_and_told(actor):
    made = schedule_create(new=new(cron=" 30  0 * * SUN ", task_params={"bot_id": "b"}), actor=actor)

    schedule = JobSchedule.objects.get()
    assert schedule.pk == made.pk
    assert (schedule.cron, schedule.enabled, schedule.user) == ("30 0 * * sun", True, actor.user)
    assert schedule.next_run_at == utc("2026-11-22 00:30")
    told = {
        "name": "nightly", "job_type": "data_processing", "target": "risk_metrics_day", "cron": "30 0 * * sun",
        "task_params": {"bot_id": "b"}, "enabled": True,
    }  # fmt: skip
    assert actions() == [("job_schedule.create", "desk@example.com", None, told, "")]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"target": "rm -rf"}, "There is no job data_processing/rm -rf"),
        ({"target": "verify_ledger"}, "There is no job data_processing/verify_ledger"),
        ({"job_type": "backup", "target": "backup"}, "There is no job backup/backup"),
        ({"cron": "0 9 * *"}, "exactly five fields"),
        ({"cron": "0 9 31 2 *"}, "is no cron expression"),
        ({"name": "  "}, "needs a name"),
        ({"name": "n" * 256}, "needs a name"),
        ({"task_params": {"days": 3}}, "risk_metrics_day are wrong: days"),
        ({"task_params": {"day": "yesterday"}}, "risk_metrics_day are wrong: day"),
    ],
)
def test_what_could_not_run_is_refused_when_it_is_made(actor, values, words):
    with pytest.raises(ValidationFailed, match=words):
        schedule_create(new=new(**values), actor=actor)

    assert not JobSchedule.objects.exists()
    assert actions() == []


def test_a_name_serves_a_person_once(actor):
    schedule_create(new=new(), actor=actor)

    with pytest.raises(Conflict, match="'nightly' already"):
        schedule_create(new=new(), actor=actor)
    schedule_create(new=new(), actor=Actor(UserFactory()))

    assert JobSchedule.objects.count() == 2


def test_change_of_cron_sets_the_next_time_and_tells_only_what_changed(actor):
    schedule = schedule_create(new=new(), actor=actor)

    schedule_change(schedule_id=schedule.pk, changes={"cron": "0 9 * * 7"}, actor=actor, reason="on Sundays")
    schedule_change(schedule_id=schedule.pk, changes={"cron": "0 9 * * 7"}, actor=actor, reason="again")

    schedule.refresh_from_db()
    assert schedule.next_run_at == utc("2026-11-22 09:00")
    [_, told] = actions()
    assert told == (
        "job_schedule.update", "desk@example.com", {"cron": "30 0 * * *"}, {"cron": "0 9 * * 7"}, "on Sundays"
    )  # fmt: skip


def test_a_new_name_leaves_the_next_time_alone(actor):
    schedule = JobScheduleFactory(next_run_at=utc("2026-11-25 00:30"))

    schedule_change(schedule_id=schedule.pk, changes={"name": "other"}, actor=actor)

    schedule.refresh_from_db()
    assert (schedule.name, schedule.next_run_at) == ("other", utc("2026-11-25 00:30"))


def test_switched_off_and_on_again(actor):
    schedule = JobScheduleFactory()
    waiting = JobRunFactory(job=schedule)

    schedule_change(schedule_id=schedule.pk, changes={"enabled": False}, actor=actor)
    waiting.refresh_from_db()
    schedule.refresh_from_db()
    assert (schedule.enabled, schedule.next_run_at) == (False, None)
    assert (waiting.status, waiting.error) == (RunStatus.CANCELLED, "The schedule was switched off.")

    schedule_change(schedule_id=schedule.pk, changes={"enabled": True}, actor=actor)
    schedule.refresh_from_db()
    assert schedule.next_run_at == utc("2026-11-20 00:30")


def test_times_that_had_come_before_a_change_keep_their_runs(actor, clock):
    schedule = JobScheduleFactory(cron="*/5 * * * *", next_run_at=NOON)
    clock.move_to(NOON + timedelta(minutes=5, seconds=3))

    schedule_change(schedule_id=schedule.pk, changes={"cron": "0 0 * * *"}, actor=actor)

    assert list(JobRun.objects.order_by("scheduled_for").values_list("scheduled_for", "job_snapshot__cron")) == [
        (NOON, "*/5 * * * *"), (NOON + timedelta(minutes=5), "*/5 * * * *"),
    ]  # fmt: skip


@pytest.mark.parametrize("changes", [{"target": "verify_ledger"}, {"job_type": "report"}, {"user_id": 1}])
def test_what_a_schedule_runs_stays(actor, changes):
    schedule = JobScheduleFactory()

    with pytest.raises(ValidationFailed, match="These stay"):
        schedule_change(schedule_id=schedule.pk, changes=changes, actor=actor)

    assert actions() == []


@pytest.mark.parametrize("changes", [{"cron": "61 * * * *"}, {"task_params": {"x": 1}}, {"name": ""}])
def test_a_change_that_is_refused_changes_nothing(actor, changes):
    schedule = JobScheduleFactory()
    before = JobSchedule.objects.values().get()

    with pytest.raises(ValidationFailed):
        schedule_change(schedule_id=schedule.pk, changes=changes, actor=actor)

    assert JobSchedule.objects.values().get() == before
    assert actions() == []


@pytest.mark.parametrize("enabled", [True, False])
def test_run_now_waits_at_this_moment_for_who_asked(actor, enabled):
    schedule = JobScheduleFactory(enabled=enabled)

    run = schedule_run_now(schedule_id=schedule.pk, actor=actor, reason="to see")

    stored = JobRun.objects.get()
    assert (stored.pk, stored.status, stored.scheduled_for, stored.user) == (run.pk, "pending", NOON, actor.user)
    assert stored.job_snapshot == {
        "schedule_id": schedule.pk, "schedule_name": schedule.name, "job_type": "data_processing",
        "target": "risk_metrics_day", "task_params": {}, "cron": "30 0 * * *", "trigger": "manual",
    }  # fmt: skip
    assert actions() == [("job_schedule.run_now", "desk@example.com", None, {"run": run.pk}, "to see")]


@pytest.mark.parametrize("state", [{}, {"status": "running", "started_at": NOON, "worker_id": "w"}])
def test_run_now_waits_for_the_run_that_is_open(actor, state):
    run = JobRunFactory(**state)

    with pytest.raises(Conflict):
        schedule_run_now(schedule_id=run.job_id, actor=actor)

    assert JobRun.objects.count() == 1
    assert actions() == []


def test_a_schedule_that_is_not_there(actor):
    with pytest.raises(NotFound):
        schedule_run_now(schedule_id=1, actor=actor)
    with pytest.raises(NotFound):
        schedule_change(schedule_id=1, changes={}, actor=actor)
