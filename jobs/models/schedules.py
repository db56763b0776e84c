"""What runs when."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from jobs.choices import JobType
from tradingdb.lib.fields import finite_times, one_of

# What a cron field is made of; jobs.cron says what each may hold. Exactly five fields, one blank between them.
FIVE_FIELDS = r"^[0-9A-Za-z*,/-]+( [0-9A-Za-z*,/-]+){4}$"


class JobSchedule(models.Model):
    """One job that runs again and again, at the UTC times its cron expression names.

    What it runs (`job_type`, `target`) stays; another target is another schedule. `next_run_at` is written by the
    services alone, together with what it follows from: no trigger stands behind it.
    """

    user = models.ForeignKey(
        "accounts.User",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="job_schedules",
        db_index=False,
        help_text="Who made it; empty when that person is gone.",
    )
    name = models.CharField(max_length=255, help_text="Unique among the schedules of one person.")
    job_type = models.CharField(max_length=50, choices=JobType)
    target = models.CharField(max_length=255, help_text="Name of the function in the registry of jobs.")
    task_params = models.JSONField(
        default=dict, blank=True, db_default={}, encoder=DjangoJSONEncoder, help_text="Arguments of the target."
    )
    cron = models.CharField(
        max_length=100,
        help_text="Minute, hour, day of month, month, weekday, in UTC. Weekdays 0 and 7 are both Sunday.",
    )
    enabled = models.BooleanField(default=True, db_default=True)
    next_run_at = models.DateTimeField(
        null=True, blank=True, help_text="Next nominal time, UTC; empty while it is switched off."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        db_table = "job_schedules"
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="job_schedules_unique_name"),
            one_of("job_type", JobType, name="job_schedules_valid_type"),
            models.CheckConstraint(condition=Q(cron__regex=FIVE_FIELDS), name="job_schedules_five_cron_fields"),
            models.CheckConstraint(condition=~Q(name="") & ~Q(target=""), name="job_schedules_named"),
            models.CheckConstraint(
                condition=Q(enabled=True, next_run_at__isnull=False) | Q(enabled=False, next_run_at__isnull=True),
                name="job_schedules_next_run_while_enabled",
            ),
            finite_times("job_schedules_finite_times", "next_run_at", "created_at", "updated_at"),
        ]
        indexes = [
            models.Index(fields=["enabled"], name="idx_schedules_enabled"),
            models.Index(fields=["next_run_at"], condition=Q(enabled=True), name="idx_schedules_next_run_at"),
        ]

    def __str__(self) -> str:
        return self.name
