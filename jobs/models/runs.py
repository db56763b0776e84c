"""What became of each time a job was due."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from jobs.choices import ENDED_STATUSES, OPEN_STATUSES, JobType, RunStatus
from tradingdb.lib.fields import finite_times, one_of

NOT_STARTED = Q(started_at__isnull=True)
STARTED = Q(started_at__isnull=False)


class JobRun(models.Model):
    """One time a job was due: waiting, running, or how it ended.

    `scheduled_for` is the nominal time, not the moment somebody got round to it: the unique key with it is what keeps
    a job from running twice.
    """

    job = models.ForeignKey("jobs.JobSchedule", models.PROTECT, related_name="runs", db_index=False)
    job_type = models.CharField(max_length=50, choices=JobType, help_text="As the schedule had it.")
    user = models.ForeignKey(
        "accounts.User",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Owner of the schedule, or who pressed the button.",
    )
    status = models.CharField(max_length=20, choices=RunStatus, default=RunStatus.PENDING, db_default="pending")
    scheduled_for = models.DateTimeField(
        help_text="Nominal time, UTC: the minute that cron names, or the moment a person asked for the run."
    )
    enqueued_at = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="When this row was made.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    job_snapshot = models.JSONField(
        default=dict, db_default={}, encoder=DjangoJSONEncoder, help_text="The schedule as it was when this was due."
    )
    result = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder, help_text="What the job answered.")
    error = models.TextField(null=True, blank=True, help_text="Why it failed or was cancelled.")
    worker_id = models.CharField(max_length=255, null=True, blank=True, help_text="Host and process that ran it.")

    class Meta:
        db_table = "job_schedule_runs"
        ordering = ["-scheduled_for", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["job_type", "job", "scheduled_for"], name="ux_runs_job_scheduled_for"),
            models.UniqueConstraint(
                fields=["job"], condition=Q(status=RunStatus.RUNNING), name="job_schedule_runs_one_running"
            ),
            one_of("job_type", JobType, name="job_schedule_runs_valid_type"),
            one_of("status", RunStatus, name="job_schedule_runs_valid_status"),
            models.CheckConstraint(
                condition=(~Q(status=RunStatus.PENDING) | NOT_STARTED)
                & (~Q(status__in=[RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.FAILED]) | STARTED),
                name="job_schedule_runs_start_fits_status",
            ),
            models.CheckConstraint(
                condition=(~Q(status__in=OPEN_STATUSES) | Q(finished_at__isnull=True))
                & (~Q(status__in=ENDED_STATUSES) | Q(finished_at__isnull=False)),
                name="job_schedule_runs_end_fits_status",
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True) | NOT_STARTED | Q(finished_at__gte=F("started_at")),
                name="job_schedule_runs_ends_after_start",
            ),
            # Who runs it is known from the moment it starts, so that a silent worker has a name.
            models.CheckConstraint(
                condition=(NOT_STARTED & Q(worker_id__isnull=True))
                | (STARTED & Q(worker_id__isnull=False) & ~Q(worker_id="")),
                name="job_schedule_runs_worker_while_started",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[RunStatus.FAILED, RunStatus.CANCELLED])
                | (Q(error__isnull=False) & ~Q(error="")),
                name="job_schedule_runs_says_why",
            ),
            finite_times("job_schedule_runs_finite_times", "scheduled_for", "enqueued_at", "started_at", "finished_at"),
        ]
        indexes = [
            models.Index(F("scheduled_for").desc(), name="idx_runs_scheduled_for"),
            models.Index("job", F("scheduled_for").desc(), name="idx_runs_job"),
            models.Index("status", F("scheduled_for").desc(), name="idx_runs_status"),
            models.Index(fields=["scheduled_for"], condition=Q(status__in=OPEN_STATUSES), name="idx_runs_open"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of job {self.job_id}, {self.scheduled_for:%Y-%m-%d %H:%M:%SZ}"
