"""Templates that people start strategies from."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times


class StrategyTemplate(models.Model):
    """A set of strategy parameters that somebody keeps to start from; public ones are everybody's."""

    name = models.CharField(max_length=100)
    description = models.TextField(null=True, blank=True)
    template_data = models.JSONField(help_text="The parameters, as a bot's configuration holds them.")
    is_public = models.BooleanField(default=False, db_default=False, help_text="Off: its author and admins see it.")
    created_by = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        db_table = "strategy_templates"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="strategy_templates_named"),
            finite_times("strategy_templates_finite_times", "created_at", "updated_at"),
        ]
        indexes = [models.Index(fields=["name"], name="idx_strategy_templates_name")]

    def __str__(self) -> str:
        return self.name
