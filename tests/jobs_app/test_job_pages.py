"""Jobs in the admin: made, changed and run by traders and admins; each change with its reason."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import UserAction
from jobs.models import JobRun, JobSchedule
from tests.factories import NOON, JobRunFactory, JobScheduleFactory, UserFactory

pytestmark = pytest.mark.django_db

FORM = {"name": "nightly", "target": "risk_metrics_day", "cron": "0 9 * * 7", "task_params": "{}", "enabled": "on"}
MAY, MAY_NOT = ["admin", "trader"], ["viewer"]


def browser(role: str) -> Client:
    client = Client()
    client.force_login(UserFactory(role=role, email=f"{role}@example.com"))
    return client


def url(view: str, *args: Any) -> str:
    return reverse(f"admin:jobs_{view}", args=args)


def last_action() -> tuple[str, str, str]:
    row = UserAction.objects.filter(resource_type="job_schedule").latest("id")
    return row.action, row.user_email, row.reason


@pytest.mark.parametrize("role", MAY)
def test_a_schedule_is_made_from_a_closed_list_of_targets(role):
    client = browser(role)
    page = client.get(url("jobschedule_add")).content.decode()
    assert 'value="verify_ledger"' in page

    refused = client.post(url("jobschedule_add"), FORM | {"target": "os.system"})
    assert refused.status_code == 200
    assert not JobSchedule.objects.exists()

    answer = client.post(url("jobschedule_add"), FORM)
    schedule = JobSchedule.objects.get()
    assert answer.status_code == 302
    assert (schedule.job_type, schedule.enabled, schedule.next_run_at.isoweekday()) == ("data_processing", True, 7)
    assert schedule.user.email == f"{role}@example.com"
    assert last_action() == ("job_schedule.create", f"{role}@example.com", "")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cron": "0 9 * *"}, ""),
        ({"cron": "0 9 * * 8"}, "&#x27;0 9 * * 8&#x27; is no cron expression"),
        ({"task_params": '{"x": 1}'}, "The arguments of risk_metrics_day are wrong: x"),
        ({"name": ""}, ""),
    ],
)
def test_a_schedule_that_could_not_run_is_not_made(fields, words):
    answer = browser("admin").post(url("jobschedule_add"), FORM | fields, follow=True)

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not JobSchedule.objects.exists()


@pytest.mark.parametrize("role", MAY)
def test_a_schedule_is_switched_off_with_a_reason(role):
    schedule = JobScheduleFactory()
    page = url("jobschedule_change", schedule.pk)
    fields = {"name": schedule.name, "cron": schedule.cron, "task_params": "{}"}

    assert browser(role).post(page, fields | {"reason": "holiday"}).status_code == 302

    schedule.refresh_from_db()
    assert (schedule.enabled, schedule.next_run_at) == (False, None)
    assert last_action() == ("job_schedule.update", f"{role}@example.com", "holiday")


@pytest.mark.parametrize("role", MAY)
def test_run_now_asks_why_and_makes_one_waiting_run(role):
    schedule, client = JobScheduleFactory(), browser(role)
    button = url("jobschedule_run_now", schedule.pk)
    before = timezone.now()
    assert "within about 15 seconds" in client.get(button).content.decode()
    assert not JobRun.objects.exists()

    client.post(button, {"reason": "to see"})
    again = client.post(button, {"reason": "twice"}, follow=True)

    run = JobRun.objects.get()
    assert (run.status, run.user.email, run.scheduled_for > before) == ("pending", f"{role}@example.com", True)
    assert last_action() == ("job_schedule.run_now", f"{role}@example.com", "to see")
    assert "is not possible as things are now" in again.content.decode()
    assert "manual" in client.get(url("jobrun_change", run.pk)).content.decode()


@pytest.mark.parametrize("role", MAY_NOT)
def test_who_only_views_changes_nothing(role):
    schedule, client = JobScheduleFactory(), browser(role)
    before = JobSchedule.objects.values().get()

    answers = [
        client.post(url("jobschedule_add"), FORM),
        client.post(url("jobschedule_change", schedule.pk), FORM | {"reason": "x"}),
        client.post(url("jobschedule_run_now", schedule.pk), {"reason": "x"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert JobSchedule.objects.values().get() == before
    assert not JobRun.objects.exists()
    assert "Run now" not in client.get(url("jobschedule_change", schedule.pk)).content.decode()


def test_page_of_a_schedule_shows_its_runs_and_what_it_does():
    ended = {"started_at": NOON, "finished_at": NOON.replace(second=3), "worker_id": "host/9"}
    run = JobRunFactory(status="failed", error="it broke", **ended)
    JobRunFactory()

    text = browser("viewer").get(url("jobschedule_change", run.job_id)).content.decode()

    for words in ("it broke", "host/9", "3.0 s", "Compute the risk metrics of one UTC day"):
        assert words in text


def test_runs_are_filtered_by_job_and_state():
    run = JobRunFactory()
    JobRunFactory()

    cl = browser("viewer").get(url("jobrun_changelist"), {"job__id__exact": run.job_id, "status__exact": "pending"})

    assert [each.pk for each in cl.context["cl"].result_list] == [run.pk]
