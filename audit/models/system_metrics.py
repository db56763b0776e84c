"""Load of the machines."""

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from tradingdb.lib.fields import FiniteDecimalField, finite_times


def meter(help_text: str, **options: Any) -> FiniteDecimalField:
    """A meter reading in percent, 0 to 100."""
    return FiniteDecimalField(max_digits=5, decimal_places=2, help_text=help_text, **options)


class SystemMetric(models.Model):
    """One reading a minute of the machine that runs the jobs: load, network, database latency, calls."""

    timestamp = TimescaleDateTimeField(interval="1 month", help_text="The UTC minute in which it was read.")
    host = models.CharField(max_length=100, blank=True, default="", db_default="", help_text="Name of the machine.")
    cpu_usage = meter("Percent of all cores together, over half a second.")
    memory_usage = meter("Percent of the memory that is not available.")
    disk_usage = meter("Percent of the file system of the state folder.")
    network_sent_bytes = models.BigIntegerField(help_text="Bytes since the machine started, all interfaces.")
    network_received_bytes = models.BigIntegerField(help_text="Bytes since the machine started, all interfaces.")
    execution_latency = models.IntegerField(help_text="Of a trivial query, in milliseconds, rounded up.")
    api_request_count = models.IntegerField(
        null=True,
        blank=True,
        help_text="Hot calls of bots that all web processes answered in the minute before; empty while unknown.",
    )
    api_error_count = models.IntegerField(
        null=True, blank=True, help_text="Those of them with status 500 or above: our failures, not the bots'."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "system_metrics"
        ordering = ["-timestamp"]
        constraints = [
            # A job that is delivered twice writes one row.
            models.UniqueConstraint(fields=["host", "timestamp"], name="system_metrics_one_a_minute"),
            models.CheckConstraint(
                condition=Q(cpu_usage__gte=0, cpu_usage__lte=100)
                & Q(memory_usage__gte=0, memory_usage__lte=100)
                & Q(disk_usage__gte=0, disk_usage__lte=100),
                name="system_metrics_percent",
            ),
            models.CheckConstraint(
                condition=Q(network_sent_bytes__gte=0) & Q(network_received_bytes__gte=0) & Q(execution_latency__gte=0),
                name="system_metrics_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(api_request_count__isnull=True, api_error_count__isnull=True)
                | Q(
                    api_request_count__isnull=False,
                    api_error_count__isnull=False,
                    api_error_count__gte=0,
                    api_request_count__gte=F("api_error_count"),
                ),
                name="system_metrics_errors_are_calls",
            ),
            finite_times("system_metrics_finite_times", "timestamp", "created_at"),
        ]
        indexes = [models.Index(F("timestamp").desc(), name="idx_system_metrics_timestamp")]

    def __str__(self) -> str:
        return f"{self.host} {self.timestamp:%Y-%m-%d %H:%MZ}".strip()
