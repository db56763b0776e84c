"""Schedules of jobs: made and changed here, switched on and off, run at once."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from audit.services.actions import Actor
from jobs.admin.runs import RUN_COLUMNS
from jobs.choices import OPEN_STATUSES
from jobs.models import JobRun, JobSchedule
from jobs.registry import JOBS, REGISTRY
from jobs.services.schedules import NewSchedule, schedule_change, schedule_create, schedule_run_now
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter
from tradingdb.lib.asking import asking
from tradingdb.lib.sections import Section, list_url, table


@admin.register(JobSchedule)
class JobScheduleAdmin(RecordedAdmin):
    list_display = ("name", "job_type", "target", "cron", "state", "next_run_at", "show_user")
    list_filter = ("enabled", ("job_type", ChoicesFilter))
    list_select_related = ("user",)
    search_fields = ("name", "target")
    search_help_text = "Name or target"
    empty_note = "No schedule yet. Add one: it names a job, and the UTC times it runs at."
    ordering = ("name", "id")
    # The target says of which type the job is.
    addable = ("name", "target", "cron", "task_params", "enabled")
    editable = ("name", "cron", "task_params", "enabled", "reason")
    fieldsets = (
        (
            None,
            {"fields": ("name", ("job_type", "target"), "meaning", ("cron", "enabled"), "task_params",
                        ("next_run_at", "show_user"), ("created_at", "updated_at"))},
        ),
        ("Why", {"fields": ("reason",)}),
    )  # fmt: skip
    resource_type = "job_schedule"
    actions_detail = ("run_now",)

    @admin.display(description="State", ordering="enabled")
    def state(self, row: JobSchedule) -> SafeString:
        return display.badge("on", tone="ok") if row.enabled else display.badge("off", tone="neutral")

    @admin.display(description="Made by")
    def show_user(self, row: JobSchedule) -> SafeString:
        return display.text(row.user)

    @admin.display(description="What it does")
    def meaning(self, row: JobSchedule) -> SafeString:
        job = REGISTRY.get(row.target)
        return display.text(job.meaning if job is not None else "No job has this name any more.")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "target":
            return forms.ChoiceField(choices=[(job.target, f"{job.target}: {job.meaning}") for job in JOBS])
        return super().formfield_for_dbfield(db_field, request, **options)

    def create(self, request: HttpRequest, obj: JobSchedule, form: ModelForm) -> None:
        new = NewSchedule(
            name=obj.name, job_type=REGISTRY[obj.target].job_type, target=obj.target, cron=obj.cron,
            task_params=obj.task_params, enabled=obj.enabled,
        )  # fmt: skip
        obj.pk = schedule_create(new=new, actor=self.actor(request)).pk

    def update(self, request: HttpRequest, obj: JobSchedule, names: Sequence[str], *, reason: str) -> None:
        changes = {name: getattr(obj, name) for name in names}
        schedule_change(schedule_id=obj.pk, changes=changes, actor=self.actor(request), reason=reason)

    def is_offered(self, name: str, row: JobSchedule) -> bool:
        return not row.runs.filter(status__in=OPEN_STATUSES).exists()

    @asking(label="Run now", permission="intervene", icon="play_arrow")
    def run_now(self, request: HttpRequest, row: JobSchedule, data: dict[str, Any]) -> str:
        """The job runs once within about 15 seconds, whether the schedule is on or off. Its times stay."""
        schedule_run_now(schedule_id=row.pk, actor=Actor(request.user, request), reason=data["reason"])
        return "The run waits for a worker."

    def sections(self, request: HttpRequest, row: JobSchedule) -> list[Section]:
        runs = row.runs.order_by("-scheduled_for", "-id")
        more = list_url(JobRun, job__id__exact=str(row.pk))
        return [table(self.admin_site, "Runs", runs, RUN_COLUMNS, more_url=more, empty="It was not due yet.")]
