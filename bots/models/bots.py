"""The registry of bots."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import BotStatus, DeploymentMode
from tradingdb.lib.fields import amount, finite_times, fractions, named, not_negative, one_of, ratio
from tradingdb.lib.json_rules import json_objects


class BotQuerySet(models.QuerySet["Bot"]):
    def running(self) -> Self:
        """Bots that may report and trade."""
        return self.filter(status__in=(BotStatus.ACTIVE, BotStatus.PAUSED))


class Bot(models.Model):
    """One trading bot: who it is, where it trades, and the limits it is held to."""

    bot_id = models.CharField(max_length=50, primary_key=True, help_text="Natural key, e.g. momentum_001.")
    bot_name = models.CharField(max_length=100)
    bot_type = models.CharField(max_length=50, help_text="shortseller, lxalgo, momentum, custom or your own word.")
    strategy_name = models.CharField(max_length=100)
    description = models.TextField(blank=True, default="", db_default="")
    status = models.CharField(max_length=20, choices=BotStatus, default=BotStatus.ACTIVE, db_default="active")
    deployment_mode = models.CharField(max_length=20, choices=DeploymentMode)
    account = models.ForeignKey("bots.ExchangeAccount", models.PROTECT, related_name="bots")
    owner = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="bots")
    exchange = models.CharField(max_length=50, default="bybit", db_default="bybit")
    currency = models.CharField(
        max_length=20, default="USDT", db_default="USDT", help_text="Currency of its money figures."
    )
    # Limits
    initial_capital = amount(help_text="In the bot's currency.")
    current_equity = amount(null=True, blank=True, help_text="Last equity the bot reported, in its currency.")
    max_positions = models.IntegerField(default=3, db_default=3, help_text="Open positions at most.")
    leverage_limit = models.IntegerField(default=1, db_default=1)
    max_daily_loss_pct = ratio(null=True, blank=True, help_text="Fraction of the day's first equity (0.05 is 5 %).")
    max_weekly_loss_pct = ratio(null=True, blank=True, help_text="Fraction of the week's first equity.")
    max_drawdown_pct = ratio(null=True, blank=True, help_text="Fraction below the highest equity.")
    # Liveness and results
    last_heartbeat = models.DateTimeField(
        null=True, blank=True, help_text="Liveness comes from its age, not from a column."
    )
    started_at = models.DateTimeField(null=True, blank=True)
    error_count = models.IntegerField(default=0, db_default=0)
    latency_ms = models.FloatField(null=True, blank=True, help_text="Last latency the bot reported, in milliseconds.")
    acknowledged_halt = models.BigIntegerField(
        null=True, blank=True, help_text="Version of the halt the bot confirmed."
    )
    total_pnl = amount(default=0, db_default=0, help_text="Net P&L of the trades closed by the last snapshot.")
    api_key_hash = models.CharField(
        max_length=255, null=True, blank=True, editable=False, help_text="Kept from the old system; tokens replace it."
    )
    extra_metadata = models.JSONField(default=dict, blank=True, db_default={})
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    created_by = models.CharField(max_length=100, default="system", db_default="system")

    objects = BotQuerySet.as_manager()

    class Meta:
        db_table = "bots"
        ordering = ["bot_id"]
        constraints = [
            one_of("status", BotStatus, name="bots_valid_status"),
            one_of("deployment_mode", DeploymentMode, name="bots_valid_mode"),
            models.CheckConstraint(
                condition=Q(bot_id__regex=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$"), name="bots_valid_bot_id"
            ),
            models.CheckConstraint(condition=Q(initial_capital__gte=0), name="bots_capital_not_negative"),
            models.CheckConstraint(condition=Q(max_positions__gte=0), name="bots_max_positions_not_negative"),
            models.CheckConstraint(condition=Q(leverage_limit__gte=1), name="bots_leverage_at_least_one"),
            named("bots_named", "bot_name", "bot_type", "strategy_name"),
            fractions("bots_limits_are_fractions", "max_daily_loss_pct", "max_weekly_loss_pct", "max_drawdown_pct"),
            not_negative("bots_errors_not_negative", "error_count"),
            finite_times("bots_finite_times", "last_heartbeat", "started_at", "created_at", "updated_at"),
            json_objects("bots_json_objects", "extra_metadata"),
        ]
        indexes = [
            models.Index(fields=["status"], name="idx_bots_status"),
            models.Index(fields=["bot_type"], name="idx_bots_type"),
            models.Index(fields=["deployment_mode"], name="idx_bots_mode"),
        ]

    def __str__(self) -> str:
        return self.bot_id

    def liveness(self, now: datetime) -> str:
        """Return new, up, late or down, from the age of the last heartbeat; stopped bots are just that."""
        if self.status in (BotStatus.STOPPED, BotStatus.ARCHIVED):
            return str(self.status)
        if self.last_heartbeat is None:
            return "new"
        age = (now - self.last_heartbeat).total_seconds()
        if age > settings.HEARTBEAT_DOWN_SECONDS:
            return "down"
        return "late" if age > settings.HEARTBEAT_LATE_SECONDS else "up"
