"""Breaches of limits."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from audit.choices import RiskAction, RiskLevel, RiskType
from tradingdb.lib.fields import FiniteDecimalField, amount, finite_times, named, not_negative, one_of, valid_symbol
from tradingdb.lib.json_rules import json_objects


class RiskEvent(models.Model):
    """One limit that was broken, nearly broken or kept by a refusal, and what was done.

    One row a limit and subject stays open until a person closes it; what is seen again is counted in it.
    """

    event_time = models.DateTimeField(default=timezone.now, db_default=Now())
    bot_id = models.CharField(
        max_length=50, help_text="Text, not a foreign key: an audit row outlives its bot. * speaks of several."
    )
    symbol = models.CharField(max_length=40, blank=True, default="", db_default="")
    order_id = models.CharField(max_length=100, blank=True, default="", db_default="")
    risk_type = models.CharField(max_length=50, choices=RiskType)
    current_value = amount(help_text="Value that broke the rule, in the rule's unit.")
    limit_value = amount(help_text="The limit in force, in the same unit.")
    threshold_pct = FiniteDecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True, help_text="Percent of the limit in use (95 is 95 %)."
    )
    action_taken = models.CharField(max_length=100, choices=RiskAction)
    positions_affected = models.IntegerField(default=0, db_default=0)
    trades_cancelled = models.IntegerField(default=0, db_default=0)
    details = models.JSONField(default=dict, blank=True, db_default={})
    level = models.CharField(max_length=10, choices=RiskLevel, blank=True, default="", db_default="")
    limit_id = models.BigIntegerField(null=True, blank=True, help_text="Number of the limit; an audit row outlives it.")
    subject = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="Bot, symbol, asset or group that it counts."
    )
    repeat_key = models.CharField(
        max_length=250, blank=True, default="", db_default="", editable=False,
        help_text="What is the same event again while it is open: limit, subject, period and level.",
    )  # fmt: skip
    is_over = models.BooleanField(default=False, db_default=False, help_text="Whether it still was when last looked.")
    seen_count = models.IntegerField(default=1, db_default=1, help_text="How often it was seen.")
    last_seen_at = models.DateTimeField(null=True, blank=True, help_text="When it was seen last; NULL: once.")
    resolved = models.BooleanField(default=False, db_default=False)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    resolution_notes = models.TextField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "risk_events"
        ordering = ["-event_time"]
        constraints = [
            one_of("risk_type", RiskType, name="risk_events_valid_type"),
            one_of("level", RiskLevel, name="risk_events_valid_level"),
            models.UniqueConstraint(
                fields=["repeat_key"],
                condition=models.Q(resolved=False) & ~models.Q(repeat_key=""),
                name="risk_events_one_open",
            ),
            one_of("action_taken", RiskAction, name="risk_events_valid_action"),
            models.CheckConstraint(
                condition=models.Q(resolved=False) | models.Q(resolved_at__isnull=False),
                name="risk_events_resolved_has_time",
            ),
            models.CheckConstraint(
                condition=models.Q(positions_affected__gte=0, trades_cancelled__gte=0, seen_count__gte=1),
                name="risk_events_counts_not_negative",
            ),
            named("risk_events_named", "bot_id"),
            not_negative("risk_events_threshold_not_negative", "threshold_pct"),
            valid_symbol("risk_events_valid_symbol", blank=True),
            finite_times("risk_events_finite_times", "event_time", "resolved_at", "created_at", "last_seen_at"),
            json_objects("risk_events_json_objects", "details"),
        ]
        indexes = [
            models.Index("bot_id", models.F("event_time").desc(), name="idx_risk_events_bot_id"),
            models.Index(models.F("event_time").desc(), name="idx_risk_events_time"),
            models.Index(
                fields=["limit_id", "subject"],
                condition=models.Q(is_over=True, resolved=False),
                name="idx_risk_events_over",
            ),
            models.Index(fields=["risk_type"], name="idx_risk_events_type"),
            models.Index(fields=["event_time"], condition=models.Q(resolved=False), name="idx_risk_events_resolved"),
        ]

    def __str__(self) -> str:
        return f"{self.risk_type} of {self.bot_id}"
