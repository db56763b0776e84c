"""Events that bots and the system report."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from audit.choices import EventLevel
from tradingdb.lib.fields import finite_times, named, one_of, valid_symbol
from tradingdb.lib.json_rules import json_objects


class SystemEvent(models.Model):
    """One thing that happened, told by a bot or by the system. Rows are never changed."""

    event_time = TimescaleDateTimeField(
        interval="1 month", default=timezone.now, db_default=Now(), help_text="When it happened, UTC."
    )
    event_id = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="The sender's natural id."
    )
    event_type = models.CharField(max_length=50, help_text="For example SYSTEM_START, BOT_STOP, CONFIG_CHANGE, ERROR.")
    event_level = models.CharField(max_length=20, choices=EventLevel)
    # Text, not a foreign key: an audit row outlives what it speaks of.
    bot_id = models.CharField(max_length=50, null=True, blank=True)
    component = models.CharField(max_length=100, null=True, blank=True, help_text="For example risk_manager.")
    message = models.TextField()
    details = models.JSONField(null=True, blank=True)
    symbol = models.CharField(max_length=40, null=True, blank=True)
    order_id = models.CharField(max_length=100, null=True, blank=True)
    trade_id = models.CharField(max_length=100, null=True, blank=True)
    error_code = models.CharField(max_length=50, null=True, blank=True)
    stack_trace = models.TextField(null=True, blank=True)
    source = models.CharField(max_length=50, default="api", db_default="api", help_text="api, system or import:<name>.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "system_events"
        ordering = ["-event_time"]
        constraints = [
            one_of("event_level", EventLevel, name="system_events_valid_level"),
            named("system_events_named", "event_type"),
            valid_symbol("system_events_valid_symbol"),
            finite_times("system_events_finite_times", "event_time", "created_at"),
            json_objects("system_events_json_objects", "details", null=True),
        ]
        indexes = [
            models.Index(models.F("event_time").desc(), name="idx_events_time"),
            models.Index("event_level", models.F("event_time").desc(), name="idx_events_level"),
            models.Index("event_type", models.F("event_time").desc(), name="idx_events_type"),
            models.Index("bot_id", models.F("event_time").desc(), name="idx_events_bot_time"),
            # Seed 000 has (bot_id) alone, which the one above answers; with the level it finds the errors of one bot.
            models.Index("bot_id", "event_level", models.F("event_time").desc(), name="idx_events_bot_id"),
            models.Index("component", models.F("event_time").desc(), name="idx_system_events_component"),
            GinIndex(fields=["details"], name="idx_events_details", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.event_time:%Y-%m-%d %H:%M:%SZ} {self.event_level} {self.event_type}"
