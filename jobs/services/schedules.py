"""Schedules in the hands of people: made, changed, switched on and off, run at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit.services.actions import Actor
from jobs.choices import OPEN_STATUSES, RunStatus
from jobs.cron import cron_read
from jobs.models import JobRun, JobSchedule
from jobs.registry import job_find, params_read
from jobs.services.runs import schedule_catch_up, snapshot
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

CHANGEABLE = frozenset({"name", "cron", "task_params", "enabled"})
RESOURCE = "job_schedule"
NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """What a schedule is made of."""

    name: str
    job_type: str
    target: str
    cron: str
    task_params: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool = True


# Takes along each hour what somebody wrote under an older key meanwhile.
KEY_ROTATION = NewSchedule("Encrypt under the current key", "data_processing", "rotate_keys", "17 * * * *")


@transaction.atomic
def schedule_create(*, new: NewSchedule, actor: Actor) -> JobSchedule:
    """Store a schedule and return it; its first time is the first one after now.

    Raises ValidationFailed for an unknown target, arguments it does not take, no name or a bad cron expression, and
    Conflict for a name this person has used already.
    """
    job_find(job_type=new.job_type, target=new.target)
    schedule = JobSchedule(
        user=actor.user, name=new.name.strip(), job_type=new.job_type, target=new.target, cron=new.cron,
        task_params=dict(new.task_params), enabled=new.enabled,
    )  # fmt: skip
    _check(schedule)
    _set_next(schedule, now=timezone.now())
    schedule.save()
    actor.record("job_schedule.create", RESOURCE, str(schedule.pk), after=_told(schedule))
    return schedule


@transaction.atomic
def schedule_change(*, schedule_id: int, changes: Mapping[str, Any], actor: Actor, reason: str = "") -> JobSchedule:
    """Change name, cron, task_params or enabled, and return the schedule. The same values again change nothing.

    Times that had come before the change keep their runs; what waits is cancelled when the schedule is switched off.
    Raises NotFound, and ValidationFailed or Conflict as schedule_create.
    """
    if unknown := set(changes) - CHANGEABLE:
        raise ValidationFailed(f"These stay as they are: {', '.join(sorted(unknown))}.")
    schedule = _locked(schedule_id)
    before, now = _told(schedule), timezone.now()
    while schedule.next_run_at is not None and schedule.next_run_at <= now:
        schedule_catch_up(schedule, now=now)
    for name, value in changes.items():
        setattr(schedule, name, value.strip() if name == "name" else value)
    _check(schedule)
    after = _told(schedule)
    if after == before:
        return schedule
    if (after["cron"], after["enabled"]) != (before["cron"], before["enabled"]):
        _set_next(schedule, now=now)
    schedule.save(update_fields=[*CHANGEABLE, "next_run_at", "updated_at"])
    if not schedule.enabled:
        schedule.runs.filter(status=RunStatus.PENDING).update(
            status=RunStatus.CANCELLED, finished_at=now, error="The schedule was switched off."
        )
    changed = [name for name in after if after[name] != before[name]]
    actor.record(
        "job_schedule.update", RESOURCE, str(schedule.pk), reason=reason,
        before={name: before[name] for name in changed}, after={name: after[name] for name in changed},
    )  # fmt: skip
    return schedule


@transaction.atomic
def schedule_run_now(*, schedule_id: int, actor: Actor, reason: str = "") -> JobRun:
    """Ask for a run at this moment and return it, waiting; a schedule that is switched off may be run as well.

    Raises NotFound, and Conflict while a run of the schedule waits or runs.
    """
    schedule = _locked(schedule_id)
    if schedule.runs.filter(status__in=OPEN_STATUSES).exists():
        raise Conflict("It is waiting or running already.")
    run = JobRun.objects.create(
        job=schedule, job_type=schedule.job_type, user=actor.user, scheduled_for=timezone.now(),
        job_snapshot=snapshot(schedule, trigger="manual"),
    )  # fmt: skip
    actor.record("job_schedule.run_now", RESOURCE, str(schedule.pk), after={"run": run.pk}, reason=reason)
    return run


@transaction.atomic
def key_rotation_run(*, actor: Actor, reason: str = "") -> JobRun:
    """Ask for a run that encrypts rows under the current key; its schedule is made with the first.

    Raises Conflict while one waits or runs.
    """
    schedule = JobSchedule.objects.filter(user=None, name=KEY_ROTATION.name).first()
    if schedule is None:
        schedule = schedule_create(new=KEY_ROTATION, actor=actor)
    return schedule_run_now(schedule_id=schedule.pk, actor=actor, reason=reason)


def _locked(schedule_id: int) -> JobSchedule:
    schedule = JobSchedule.objects.select_for_update().filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound("No such schedule.", id=schedule_id)
    return schedule


def _check(schedule: JobSchedule) -> None:
    """Bring cron into its one form and look at what only the code can judge."""
    if not 0 < len(schedule.name) <= NAME_LENGTH:
        raise ValidationFailed(f"A schedule needs a name of at most {NAME_LENGTH} characters.")
    if JobSchedule.objects.filter(user=schedule.user, name=schedule.name).exclude(pk=schedule.pk).exists():
        raise Conflict(f"There is a schedule {schedule.name!r} already.")
    job = job_find(job_type=schedule.job_type, target=schedule.target)
    params_read(job, schedule.task_params)
    try:
        schedule.cron = cron_read(schedule.cron).text
    except ValueError as e:
        raise ValidationFailed(str(e)) from e


def _set_next(schedule: JobSchedule, *, now: datetime) -> None:
    schedule.next_run_at = cron_read(schedule.cron).next_after(now) if schedule.enabled else None


def _told(schedule: JobSchedule) -> dict[str, Any]:
    names = ("name", "job_type", "target", "cron", "task_params", "enabled")
    return {name: getattr(schedule, name) for name in names}
