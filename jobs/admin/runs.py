"""Runs of jobs, with what each was told and what it answered."""

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from jobs.choices import ENDED_STATUSES, RunStatus
from jobs.models import JobRun
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, RelatedFilter

TONES = {RunStatus.COMPLETED: "ok", RunStatus.FAILED: "bad", RunStatus.CANCELLED: "warn"}
RUN_COLUMNS = ("scheduled_for", "state", "trigger", "started_at", "took", "worker_id", "error")


@admin.register(JobRun)
class JobRunAdmin(LedgerAdmin):
    list_display = ("scheduled_for", "show_job", "job_type", *RUN_COLUMNS[1:])
    list_filter = (
        ("job", RelatedFilter), ("status", ChoicesFilter), ("job_type", ChoicesFilter),
        ("scheduled_for", DayRangeFilter),
    )  # fmt: skip
    list_select_related = ("job",)
    ordering = ("-scheduled_for",)
    empty_note = "No job was due yet. Make a schedule first."
    fieldsets = (
        (
            None,
            {"fields": (("show_job", "job_type"), ("state", "trigger"), ("scheduled_for", "enqueued_at"),
                        ("started_at", "finished_at"), ("worker_id", "took"), ("show_user", "error"))},
        ),
        ("Answer", {"fields": ("result",)}),
        ("The schedule as it was", {"fields": ("job_snapshot",)}),
    )  # fmt: skip

    @admin.display(description="Job")
    def show_job(self, run: JobRun) -> SafeString:
        return display.link(run.job, "jobs_jobschedule_change", run.job_id)

    @admin.display(description="For")
    def show_user(self, run: JobRun) -> SafeString:
        return display.text(run.user)

    @admin.display(description="State")
    def state(self, run: JobRun) -> SafeString:
        return display.badge(run.status, tone=TONES.get(RunStatus(run.status), ""))

    @admin.display(description="Asked for by")
    def trigger(self, run: JobRun) -> SafeString:
        return display.text(run.job_snapshot.get("trigger"))

    @admin.display(description="Took")
    def took(self, run: JobRun) -> Any:
        """Time from start to end; nothing while there is no end."""
        if run.status not in ENDED_STATUSES or run.started_at is None or run.finished_at is None:
            return display.text(None)
        return display.text(f"{(run.finished_at - run.started_at).total_seconds():.1f} s")
