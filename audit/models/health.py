"""How the parts of the house are."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from audit.choices import HealthStatus, HealthSystem
from tradingdb.lib.fields import finite_times, one_of


class SystemHealth(models.Model):
    """The last check of one part of the house, and how its checks went before."""

    system = models.CharField(max_length=50, choices=HealthSystem)
    component = models.CharField(
        max_length=100,
        null=True,
        blank=True,
        help_text="A part of the system, for example a channel; empty: all of it.",
    )
    status = models.CharField(max_length=20, choices=HealthStatus, help_text="At checked_at; worth five minutes.")
    last_success = models.DateTimeField(null=True, blank=True)
    last_failure = models.DateTimeField(null=True, blank=True)
    failure_count = models.IntegerField(default=0, db_default=0, help_text="Failures in a row; 0 after a success.")
    avg_response_time_ms = models.IntegerField(
        null=True, blank=True, help_text="Moving mean of good checks in milliseconds: 0.7 of the old, 0.3 of the new."
    )
    error_message = models.TextField(null=True, blank=True, help_text="Of the last failure, until a success.")
    metadata = models.JSONField(default=dict, blank=True, db_default={})
    checked_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        db_table = "system_health"
        ordering = ["system", "component"]
        verbose_name_plural = "system health"
        constraints = [
            models.UniqueConstraint(
                fields=["system", "component"], nulls_distinct=False, name="system_health_unique_part"
            ),
            one_of("system", HealthSystem, name="system_health_valid_system"),
            one_of("status", HealthStatus, name="system_health_valid_status"),
            models.CheckConstraint(condition=~Q(component=""), name="system_health_named_component"),
            models.CheckConstraint(condition=Q(failure_count__gte=0), name="system_health_failures_not_negative"),
            models.CheckConstraint(
                condition=Q(avg_response_time_ms__gte=0), name="system_health_response_not_negative"
            ),
            finite_times("system_health_finite_times", "last_success", "last_failure", "checked_at"),
        ]
        indexes = [models.Index(F("checked_at").desc(), name="idx_system_health_checked_at")]

    def __str__(self) -> str:
        return f"{self.system} {self.component}" if self.component else self.system
