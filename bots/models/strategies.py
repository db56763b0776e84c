"""Trading strategies."""

import uuid

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import StrategyStatus, StrategyType
from tradingdb.lib.fields import finite_times, one_of
from tradingdb.lib.json_rules import interval_list, json_lists, json_objects, symbol_list


class Strategy(models.Model):
    """One trading strategy as staff describe it. Bots run it; signals, orders, positions and trades name it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    name = models.CharField(max_length=100, unique=True, help_text="What the column `strategy` of other rows holds.")
    description = models.TextField(blank=True, default="", db_default="")
    type = models.CharField(max_length=20, choices=StrategyType)
    status = models.CharField(
        max_length=20, choices=StrategyStatus, default=StrategyStatus.INACTIVE, db_default="inactive"
    )
    parameters = models.JSONField(default=dict, blank=True, db_default={}, help_text="Object; what it computes with.")
    symbols = models.JSONField(default=list, blank=True, db_default=[], help_text="List of the symbols it trades.")
    timeframes = models.JSONField(default=list, blank=True, db_default=[], help_text="List of intervals, such as 15m.")
    risk_parameters = models.JSONField(default=dict, blank=True, db_default={}, help_text="Object; its own limits.")
    performance_metrics = models.JSONField(
        default=dict,
        blank=True,
        db_default={},
        help_text="Object; figures as its last run told them. Ours are in strategy_performance.",
    )
    last_run_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        db_table = "strategies"
        ordering = ["name"]
        verbose_name_plural = "strategies"
        constraints = [
            one_of("type", StrategyType, name="strategies_valid_type"),
            one_of("status", StrategyStatus, name="strategies_valid_status"),
            models.CheckConstraint(condition=Q(name__regex=r"\S"), name="strategies_named"),
            # Two rules, for a form that does not show a column checks no rule that speaks of it.
            json_objects("strategies_objects", "parameters", "risk_parameters"),
            json_objects("strategies_metrics_object", "performance_metrics"),
            json_lists("strategies_lists", "symbols", "timeframes"),
            symbol_list("strategies_valid_symbols", "symbols"),
            interval_list("strategies_valid_timeframes", "timeframes"),
            finite_times("strategies_finite_times", "last_run_at", "created_at", "updated_at"),
        ]
        indexes = [models.Index(fields=["type", "status"], name="idx_strategies_type_status")]

    def __str__(self) -> str:
        return self.name
