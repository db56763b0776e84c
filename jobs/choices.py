"""Closed sets of the jobs app."""

from django.db import models


class JobType(models.TextChoices):
    """What kind of work a job is, in the words of seed 004."""

    REPORT = "report"
    SCREENER = "screener"
    ALERT = "alert"
    NOTIFICATION = "notification"
    DATA_PROCESSING = "data_processing"
    BACKUP = "backup"


class RunStatus(models.TextChoices):
    """pending → running → completed or failed; cancelled when it never got that far."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATUSES = (RunStatus.PENDING, RunStatus.RUNNING)
ENDED_STATUSES = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)
