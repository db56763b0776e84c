"""Versioned configurations of bots."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from config_app.choices import ConfigType
from tradingdb.lib.fields import finite_times, named, one_of
from tradingdb.lib.json_rules import IsJson


class BotConfiguration(models.Model):
    """One version of one configuration of a bot; a change is a new version, the old one stays."""

    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="configurations", db_index=False)
    config_key = models.CharField(max_length=100)
    config_value = models.JSONField(help_text="What the bot gets from GET /config.")
    config_type = models.CharField(max_length=50, choices=ConfigType, null=True, blank=True)
    version = models.IntegerField(default=1, db_default=1)
    is_active = models.BooleanField(default=True, db_default=True, help_text="One version of a key is active.")
    effective_from = models.DateTimeField(default=timezone.now, db_default=Now())
    effective_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    created_by = models.CharField(max_length=100, default="system", db_default="system")
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    updated_by = models.CharField(max_length=100, null=True, blank=True)
    reason = models.TextField(blank=True, default="", db_default="", help_text="Why this version was made.")

    class Meta:
        db_table = "bot_configurations"
        ordering = ["bot", "config_key", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "config_key", "version"], name="unique_bot_config"),
            models.UniqueConstraint(
                fields=["bot", "config_key"], condition=Q(is_active=True), name="bot_configurations_one_active"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="bot_configurations_positive_version"),
            one_of("config_type", ConfigType, name="bot_configurations_valid_type"),
            models.CheckConstraint(
                condition=Q(effective_until__isnull=True) | Q(effective_until__gte=F("effective_from")),
                name="bot_configurations_ends_after_start",
            ),
            named("bot_configurations_named", "config_key"),
            models.CheckConstraint(
                condition=Q(IsJson(F("config_value"), kinds="'object', 'array'")),
                name="bot_configurations_value_is_whole",
                violation_error_message="config_value: a JSON object or list is expected.",
            ),
            finite_times(
                "bot_configurations_finite_times", "effective_from", "effective_until", "created_at", "updated_at"
            ),
        ]
        indexes = [models.Index(fields=["bot", "is_active"], name="idx_config_active")]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.config_key} v{self.version}"
