"""Cases of data that is not as it should be."""

from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from analytics.choices import QualityKind, QualitySeverity, QualityStatus
from tradingdb.lib.fields import finite_times, one_of
from tradingdb.lib.json_rules import json_objects


class DataQualityCaseQuerySet(models.QuerySet["DataQualityCase"]):
    def unresolved(self) -> Self:
        """Cases that still wait for somebody or something, the ones that somebody has taken among them."""
        return self.exclude(status=QualityStatus.RESOLVED)


class DataQualityCase(models.Model):
    """One thing wrong with stored data, from the first check that saw it until it is resolved or gone by itself."""

    kind = models.CharField(max_length=30, choices=QualityKind)
    table_name = models.CharField(max_length=130, help_text="Table it speaks of, with its schema: trading.market_data.")
    subject = models.CharField(
        max_length=300, blank=True, default="", db_default="", help_text="What in the table: a series, a bot, a column."
    )
    severity = models.CharField(
        max_length=20, choices=QualitySeverity, default=QualitySeverity.WARNING, db_default="warning"
    )
    status = models.CharField(max_length=20, choices=QualityStatus, default=QualityStatus.OPEN, db_default="open")
    row_count = models.BigIntegerField(default=0, db_default=0, help_text="Rows concerned, at the last sight.")
    details = models.JSONField(default=dict, blank=True, db_default={}, help_text="What was seen last.")
    first_seen_at = models.DateTimeField(default=timezone.now, db_default=Now())
    last_seen_at = models.DateTimeField(default=timezone.now, db_default=Now())
    owner = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    resolution = models.TextField(blank=True, default="", db_default="")
    resolved_by = models.ForeignKey(
        "accounts.User", models.SET_NULL, null=True, blank=True, related_name="+", help_text="NULL: gone by itself."
    )
    resolved_at = models.DateTimeField(null=True, blank=True)

    objects = DataQualityCaseQuerySet.as_manager()

    class Meta:
        db_table = "data_quality_cases"
        ordering = ["-id"]
        constraints = [
            # None of the three is ever NULL, so no two cases can be "different" by a NULL.
            models.UniqueConstraint(
                fields=["kind", "table_name", "subject"],
                condition=~Q(status=QualityStatus.RESOLVED),
                name="data_quality_cases_one_open",
            ),
            one_of("kind", QualityKind, name="data_quality_cases_valid_kind"),
            one_of("severity", QualitySeverity, name="data_quality_cases_valid_severity"),
            one_of("status", QualityStatus, name="data_quality_cases_valid_status"),
            models.CheckConstraint(condition=~Q(table_name=""), name="data_quality_cases_names_table"),
            models.CheckConstraint(condition=Q(row_count__gte=0), name="data_quality_cases_count_not_negative"),
            models.CheckConstraint(
                condition=Q(last_seen_at__gte=F("first_seen_at")), name="data_quality_cases_last_after_first"
            ),
            models.CheckConstraint(
                condition=(Q(status=QualityStatus.RESOLVED) & Q(resolved_at__isnull=False) & ~Q(resolution=""))
                | (~Q(status=QualityStatus.RESOLVED) & Q(resolved_at__isnull=True) & Q(resolved_by__isnull=True)),
                name="data_quality_cases_resolved_says_how",
            ),
            json_objects("data_quality_cases_is_object", "details"),
            finite_times("data_quality_cases_finite_times", "first_seen_at", "last_seen_at", "resolved_at"),
        ]
        indexes = [
            models.Index("table_name", F("last_seen_at").desc(), name="idx_data_quality_cases_table"),
            models.Index(F("last_seen_at").desc(), name="idx_data_quality_cases_seen"),
            models.Index(fields=["subject"], name="idx_data_quality_cases_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.table_name} {self.subject}".strip()
