"""Equity over time."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from bots.choices import DeploymentMode
from tradingdb.lib.fields import amount, finite_times, one_of


class EquitySnapshot(models.Model):
    """What an account, or one bot on it, was worth at one moment, as it was reported or imported.

    Without a bot the row speaks of the whole account, with all that its bots hold. Below zero is stored: it happened.
    """

    timestamp = TimescaleDateTimeField(interval="1 month", help_text="Moment the figures are of, UTC.")
    account = models.ForeignKey(
        "bots.ExchangeAccount", models.PROTECT, null=True, blank=True, related_name="equity_snapshots", db_index=False
    )
    bot = models.ForeignKey(
        "bots.Bot", models.PROTECT, null=True, blank=True, related_name="equity_snapshots", db_index=False
    )
    currency = models.CharField(max_length=20, default="USDT", db_default="USDT", help_text="Currency of the figures.")
    deployment_mode = models.CharField(
        max_length=20, choices=DeploymentMode, help_text="Play money is never added to real money."
    )
    total_equity = amount(help_text="Balance and unrealised P&L together.")
    available_balance = amount(help_text="Free for new positions.")
    allocated_in_positions = amount(help_text="Bound in open positions.")
    open_position_count = models.IntegerField()
    unrealized_pnl = amount()
    realized_daily_pnl = amount(help_text="Realised since 00:00 UTC.")
    source = models.CharField(max_length=50, default="api", db_default="api", help_text="api, job or import:<name>.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "equity_snapshots"
        ordering = ["-timestamp"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "bot", "currency", "deployment_mode", "timestamp"],
                name="equity_snapshots_one_per_moment",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(account__isnull=False) | Q(bot__isnull=False), name="equity_snapshots_of_somebody"
            ),
            one_of("deployment_mode", DeploymentMode, name="equity_snapshots_valid_mode"),
            models.CheckConstraint(condition=~Q(currency=""), name="equity_snapshots_has_currency"),
            models.CheckConstraint(condition=Q(open_position_count__gte=0), name="equity_snapshots_count_not_negative"),
            models.CheckConstraint(
                condition=Q(allocated_in_positions__gte=0), name="equity_snapshots_allocated_not_negative"
            ),
            finite_times("equity_snapshots_finite_times", "timestamp", "created_at"),
        ]
        indexes = [
            models.Index(F("timestamp").desc(), name="idx_equity_snapshots_timestamp"),
            models.Index("account", F("timestamp").desc(), name="idx_equity_snapshots_account"),
            models.Index("bot", F("timestamp").desc(), name="idx_equity_snapshots_bot"),
        ]

    def __str__(self) -> str:
        # Without a bot the id says enough: the account's name would be one more query a row.
        return f"{self.bot_id or f'account {self.account_id}'} {self.timestamp:%Y-%m-%d %H:%M:%SZ}"
