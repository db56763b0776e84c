"""Runs: made once, claimed once, ended once, and never without a trace."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import connection, transaction

from analytics.models import RiskMetrics
from audit.models import UserAction
from bots.live.client import sync_client
from bots.services.invariants.run import last_report
from jobs import registry
from jobs.choices import RunStatus
from jobs.models import JobRun, JobSchedule
from jobs.services.runs import (
    run_claim,
    run_execute,
    runs_enqueue_due,
    runs_give_up,
    runs_remove_old,
    runs_waiting,
)
from jobs.tasks import dispatch_jobs, remove_old_runs, run_job
from tests.factories import (
    NOON,
    AccountBalanceFactory,
    BotFactory,
    JobRunFactory,
    JobScheduleFactory,
    TradeFactory,
)
from tradingdb.lib.errors import ValidationFailed

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
STARTED = {"status": "running", "started_at": NOON, "worker_id": "w"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def own_redis(settings: Any) -> Iterator[None]:
    settings.REDIS_PREFIX = f"test-jobs-{uuid4().hex}:"
    yield
    for key in sync_client().scan_iter(f"{settings.REDIS_PREFIX}*"):
        sync_client().delete(key)


def at_once(work: Callable[[int], Any], *, times: int) -> list[Any]:
    """Do the same in several threads, each on a connection of its own, and return what came of it."""
    start = Barrier(times)

    def one(number: int) -> Any:
        try:
            start.wait(10)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def states() -> list[tuple[Any, str]]:
    return list(JobRun.objects.order_by("scheduled_for").values_list("scheduled_for", "status"))


@pytest.mark.django_db
def test_due_times_get_a_waiting_run_and_the_schedule_its_next_time():
    schedule = JobScheduleFactory(cron="*/2 * * * *", next_run_at=NOON)
    JobScheduleFactory(cron="*/2 * * * *", next_run_at=NOON + MINUTE)
    JobScheduleFactory(enabled=False)

    looked_at = runs_enqueue_due(now=NOON + 30 * SECOND)

    schedule.refresh_from_db()
    assert (looked_at, schedule.next_run_at) == (1, NOON + 2 * MINUTE)
    assert states() == [(NOON, "pending")]
    run = JobRun.objects.get()
    assert (run.job_id, run.job_type, run.job_snapshot["trigger"]) == (schedule.pk, "data_processing", "cron")
    assert (run.started_at, run.worker_id, run.enqueued_at) == (None, None, NOON + 30 * SECOND)


@pytest.mark.django_db
def test_a_time_gets_one_run_however_often_it_is_looked_at():
    schedule = JobScheduleFactory(cron="* * * * *", next_run_at=NOON)
    runs_enqueue_due(now=NOON)
    runs_enqueue_due(now=NOON)
    # As a dispatcher that died between its two writes would leave it, were they not one transaction.
    JobSchedule.objects.update(next_run_at=NOON)
    runs_enqueue_due(now=NOON + MINUTE)

    schedule.refresh_from_db()
    assert states() == [(NOON, "pending"), (NOON + MINUTE, "pending")]
    assert schedule.next_run_at == NOON + 2 * MINUTE


@pytest.mark.django_db
def test_missed_times_are_kept_as_cancelled_with_the_reason():
    JobScheduleFactory(cron="*/5 * * * *", next_run_at=NOON)

    runs_enqueue_due(now=NOON + 15 * MINUTE)

    # Ten minutes old and more than 300 s: missed. Exactly 300 s: not yet.
    assert [status for _, status in states()] == ["cancelled", "cancelled", "pending", "pending"]
    first = JobRun.objects.earliest("scheduled_for")
    assert first.error == "Missed: no dispatcher ran until 900 s after its time."
    assert (first.started_at, first.finished_at) == (None, NOON + 15 * MINUTE)


@pytest.mark.django_db
def test_a_long_outage_is_caught_up_in_parts(monkeypatch):
    monkeypatch.setattr("jobs.services.runs.TIMES_AT_ONCE", 4)
    schedule = JobScheduleFactory(cron="* * * * *", next_run_at=NOON)
    end = NOON + 9 * MINUTE

    assert [runs_enqueue_due(now=end) for _ in range(4)] == [4, 4, 2, 0]

    schedule.refresh_from_db()
    assert schedule.next_run_at == end + MINUTE
    assert states() == [(NOON + n * MINUTE, "cancelled" if n < 4 else "pending") for n in range(10)]


@pytest.mark.django_db
def test_what_is_older_than_runs_are_kept_is_not_made():
    JobScheduleFactory(cron="0 12 * * *", next_run_at=NOON - timedelta(days=365))

    assert runs_enqueue_due(now=NOON) == 91
    assert JobRun.objects.earliest("scheduled_for").scheduled_for == NOON - timedelta(days=90)


@pytest.mark.django_db
def test_a_schedule_written_past_the_services_keeps_no_other_waiting():
    bad = JobScheduleFactory(cron="99 * * * *", next_run_at=NOON)
    JobScheduleFactory(cron="* * * * *", next_run_at=NOON)

    assert runs_enqueue_due(now=NOON) == 1

    bad.refresh_from_db()
    action = UserAction.objects.get()
    assert (bad.enabled, bad.next_run_at) == (False, None)
    assert (action.action, action.resource_id) == ("job_schedule.switch_off", str(bad.pk))
    assert "99 > 59" in action.reason


@pytest.mark.django_db(transaction=True)
def test_many_dispatchers_make_one_run_a_time():
    for _ in range(3):
        JobScheduleFactory(cron="* * * * *", next_run_at=NOON)

    looked_at = at_once(lambda _: runs_enqueue_due(now=NOON + MINUTE), times=6)

    assert sum(looked_at) == 6
    assert [at for at, _ in states()] == [NOON] * 3 + [NOON + MINUTE] * 3


@pytest.mark.django_db(transaction=True)
def test_many_workers_claim_a_run_once():
    run = JobRunFactory()

    claimed = at_once(lambda n: run_claim(run_id=run.pk, worker_id=f"w{n}", now=NOON), times=8)

    [winner] = [each for each in claimed if each is not None]
    run.refresh_from_db()
    assert (run.status, run.started_at, run.worker_id) == ("running", NOON, winner.worker_id)


@pytest.mark.django_db(transaction=True)
def test_two_runs_of_a_schedule_are_never_claimed_side_by_side():
    first = JobRunFactory()
    runs = [first, *(JobRunFactory(job=first.job, scheduled_for=NOON + n * MINUTE) for n in range(1, 6))]

    claimed = at_once(lambda n: run_claim(run_id=runs[n].pk, worker_id=f"w{n}", now=NOON), times=6)

    assert len([each for each in claimed if each is not None]) == 1
    assert JobRun.objects.filter(status=RunStatus.RUNNING).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_run_that_somebody_is_taking_is_left_to_them():
    run = JobRunFactory()
    with transaction.atomic():
        JobRun.objects.select_for_update().get(pk=run.pk)

        [claimed] = at_once(lambda _: run_claim(run_id=run.pk, worker_id="w", now=NOON), times=1)

    assert claimed is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "columns",
    [
        {**STARTED},
        {**STARTED, "status": "completed", "finished_at": NOON},
        {"status": "cancelled", "finished_at": NOON, "error": "missed"},
    ],
)
def test_a_run_that_does_not_wait_is_not_to_be_had(columns):
    run = JobRunFactory(**columns)

    assert run_claim(run_id=run.pk, worker_id="other", now=NOON) is None
    assert run_claim(run_id=run.pk + 1, worker_id="other", now=NOON) is None
    assert runs_waiting() == []


@pytest.mark.django_db
def test_a_run_computes_what_its_schedule_says_for_its_nominal_time(clock):
    bot = BotFactory(initial_capital=Decimal(1000), created_at=NOON - timedelta(days=3))
    day = NOON - timedelta(days=1)
    AccountBalanceFactory(bot=bot, timestamp=day, equity=Decimal(1010))
    TradeFactory(bot=bot, entry_time=day, exit_time=day, gross_pnl=Decimal(12), fees=Decimal(2))
    run = JobRunFactory(job=JobScheduleFactory(task_params={"bot_id": bot.bot_id}))
    # It is run after midnight; the day it speaks of is that of its nominal time.
    clock.move_to(NOON + timedelta(hours=13))

    ended = run_execute(run_id=run.pk, worker_id="host/1")

    run.refresh_from_db()
    assert (run.status, run.error, run.worker_id) == ("completed", None, "host/1")
    assert run.result == {"day": "2026-11-18", "written": 1, "unchanged": 0}
    assert (run.started_at, run.finished_at) == (NOON + timedelta(hours=13),) * 2
    assert (ended.pk, RiskMetrics.objects.get().net_profit) == (run.pk, 10)


@pytest.mark.django_db
@pytest.mark.usefixtures("own_redis")
@pytest.mark.parametrize("target", [job.target for job in registry.JOBS])
def test_every_job_of_the_registry_runs_and_runs_again(target):
    job = registry.REGISTRY[target]
    schedule = JobScheduleFactory(target=target, job_type=job.job_type)
    for minute in range(2):
        run = JobRunFactory(job=schedule, scheduled_for=NOON - minute * MINUTE)

        run_execute(run_id=run.pk, worker_id="w")

        run.refresh_from_db()
        assert (run.status, run.error) == ("completed", None)
        assert run.result


@pytest.mark.django_db
@pytest.mark.usefixtures("own_redis")
def test_a_broken_ledger_fails_the_run_that_verifies_it():
    TradeFactory(trade_id="from_nowhere", origin="fills")
    run = JobRunFactory(job=JobScheduleFactory(target="verify_ledger", job_type="report"))

    run_execute(run_id=run.pk, worker_id="w")

    run.refresh_from_db()
    assert (run.status, run.result) == ("failed", None)
    assert "invariants are broken: I" in run.error
    assert last_report()["ok"] is False


@pytest.mark.django_db
def test_whatever_a_job_raises_is_kept_without_its_secrets(monkeypatch, caplog):
    def breaks(params: Any, at: Any) -> dict[str, Any]:
        raise RuntimeError("cannot reach postgres://trader:hunter2@db/x")

    broken = registry.Job("portfolio_gaps", registry.JobType.DATA_PROCESSING, "", registry.NoParams, breaks)
    monkeypatch.setattr(registry, "REGISTRY", {"portfolio_gaps": broken})
    run = JobRunFactory(job=JobScheduleFactory(target="portfolio_gaps"))

    run_execute(run_id=run.pk, worker_id="w")

    run.refresh_from_db()
    assert (run.status, run.finished_at) == ("failed", NOON)
    assert run.error == "RuntimeError: cannot reach postgres://trader:***@db/x"
    assert f"failed in run {run.pk}" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        ({"target": "gone", "task_params": {}}, "There is no job data_processing/gone"),
        ({"target": "risk_metrics_day", "task_params": {"day": "x"}}, "risk_metrics_day are wrong"),
        ({}, "KeyError"),
    ],
)
def test_a_run_whose_job_is_gone_fails_and_says_so(snapshot, words):
    run = JobRunFactory(job_snapshot=snapshot)

    run_execute(run_id=run.pk, worker_id="w")

    run.refresh_from_db()
    assert run.status == "failed"
    assert words in run.error


@pytest.mark.django_db
def test_runs_that_nobody_took_or_ended_are_given_up():
    missed = JobRunFactory(scheduled_for=NOON - 301 * SECOND)
    waiting = JobRunFactory(scheduled_for=NOON - 300 * SECOND)
    silent = JobRunFactory(**{**STARTED, "started_at": NOON - 361 * SECOND})
    busy = JobRunFactory(**{**STARTED, "started_at": NOON - 360 * SECOND})

    assert (runs_give_up(now=NOON), runs_give_up(now=NOON)) == (2, 0)

    for run in (missed, waiting, silent, busy):
        run.refresh_from_db()
    assert (missed.status, missed.error) == ("cancelled", "Missed: no worker took it within 300 s of its time.")
    assert (silent.status, silent.error, silent.worker_id) == (
        "failed", "Its worker fell silent: no end 360 s after it started.", "w",
    )  # fmt: skip
    assert (waiting.status, busy.status) == ("pending", "running")


@pytest.mark.django_db
def test_a_worker_that_wakes_up_after_it_was_given_up_changes_nothing(monkeypatch):
    def sleeps(params: Any, at: Any) -> dict[str, Any]:
        runs_give_up(now=NOON + timedelta(hours=1))
        return {"late": True}

    slow = registry.Job("portfolio_gaps", registry.JobType.DATA_PROCESSING, "", registry.NoParams, sleeps)
    monkeypatch.setattr(registry, "REGISTRY", {"portfolio_gaps": slow})
    run = JobRunFactory(job=JobScheduleFactory(target="portfolio_gaps"))

    ended = run_execute(run_id=run.pk, worker_id="w")

    run.refresh_from_db()
    assert (run.status, run.result, ended.status) == ("failed", None, "failed")
    assert "fell silent" in run.error


@pytest.mark.django_db
def test_old_runs_are_removed_and_nothing_younger_or_open():
    age = timedelta(days=90)
    ended = {**STARTED, "status": "completed", "finished_at": NOON}
    gone = JobRunFactory(**ended, scheduled_for=NOON - age - SECOND)
    kept = [
        JobRunFactory(**ended, scheduled_for=NOON - age),
        JobRunFactory(**STARTED, scheduled_for=NOON - 2 * age),
        JobRunFactory(scheduled_for=NOON - 2 * age),
    ]

    assert (remove_old_runs(), runs_remove_old(now=NOON)) == (1, 0)

    assert set(JobRun.objects.values_list("pk", flat=True)) == {run.pk for run in kept}
    assert JobSchedule.objects.filter(pk=gone.job_id).exists()


@pytest.mark.django_db
def test_dispatcher_sends_what_waits_and_the_task_runs_it_once(monkeypatch):
    sent: list[tuple[int]] = []
    monkeypatch.setattr(run_job, "apply_async", lambda args, expires: sent.append(args))
    JobScheduleFactory(cron="0 * * * *", next_run_at=NOON, target="portfolio_gaps")
    JobRunFactory(scheduled_for=NOON - timedelta(hours=1))

    first, second = dispatch_jobs(), dispatch_jobs()

    run = JobRun.objects.get(status="pending")
    assert first == {"due": 1, "given_up": 1, "sent": 1}
    assert second == {"due": 0, "given_up": 0, "sent": 1}
    assert sent == [(run.pk,), (run.pk,)]
    assert [run_job(run.pk), run_job(run.pk)] == ["completed", "not to be had"]
    assert JobRun.objects.get(pk=run.pk).worker_id


@pytest.mark.parametrize("params", [{"day": "2026-11-19"}, {"bot_id": "b"}, {}])
def test_arguments_are_read_by_the_job(params):
    read = registry.params_read(registry.REGISTRY["risk_metrics_day"], params)

    assert {name: str(value) for name, value in read.model_dump().items() if value is not None} == params


@pytest.mark.parametrize("params", [None, [], "x", {"Day": "2026-11-19"}, {"day": 1.5}, {"bot_id": 3}])
def test_arguments_that_are_none_are_refused(params):
    with pytest.raises(ValidationFailed):
        registry.params_read(registry.REGISTRY["risk_metrics_day"], params)


def test_names_of_jobs_are_used_once():
    assert len(registry.REGISTRY) == len(registry.JOBS)
