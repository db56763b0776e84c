"""What the processes log."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from audit.choices import EventLevel
from tradingdb.lib.fields import finite_times, one_of


class SystemLog(models.Model):
    """One line that a process logged at WARNING or above, or that an import brought. Kept for a month."""

    timestamp = TimescaleDateTimeField(interval="1 day", default=timezone.now, db_default=Now(), help_text="UTC.")
    level = models.CharField(max_length=20, choices=EventLevel)
    component = models.CharField(max_length=100, help_text="The logger's name, for example bots.live.publish.")
    message = models.TextField(help_text="Without the secrets: they are blotted out before the line is kept.")
    details = models.JSONField(null=True, blank=True, help_text="Process, place in the code, traceback.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "system_logs"
        ordering = ["-timestamp"]
        constraints = [
            one_of("level", EventLevel, name="system_logs_valid_level"),
            models.CheckConstraint(condition=~Q(component=""), name="system_logs_named_component"),
            finite_times("system_logs_finite_times", "timestamp", "created_at"),
        ]
        indexes = [
            models.Index(F("timestamp").desc(), name="idx_system_logs_timestamp"),
            models.Index("level", F("timestamp").desc(), name="idx_system_logs_level"),
            models.Index("component", F("timestamp").desc(), name="idx_system_logs_component"),
        ]

    def __str__(self) -> str:
        return f"{self.timestamp:%Y-%m-%d %H:%M:%SZ} {self.level} {self.component}"
