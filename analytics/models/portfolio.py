"""Snapshots of the whole portfolio."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from tradingdb.lib.fields import exact, finite_times, ratio
from tradingdb.lib.json_rules import json_objects


class PortfolioSnapshot(models.Model):
    """All bots together at one moment of a five-minute grid; totals equal the sums over `bot_metrics`."""

    timestamp = TimescaleDateTimeField(
        interval="3 months", default=timezone.now, db_default=Now(), help_text="Slot, UTC."
    )
    currency = models.CharField(max_length=20, default="USDT", db_default="USDT")
    total_equity = exact()
    total_balance = exact()
    total_unrealized_pnl = exact(default=0, db_default=0)
    total_realized_pnl = exact(default=0, db_default=0, help_text="Net, since the beginning.")
    total_margin_used = exact(default=0, db_default=0)
    portfolio_leverage = ratio(null=True, blank=True)
    portfolio_exposure = exact(null=True, blank=True, help_text="Sum of |size x price|.")
    portfolio_var_95 = exact(null=True, blank=True, help_text="One day, historical, in money; positive is a loss.")
    active_bots = models.IntegerField(default=0, db_default=0)
    bots_in_trade = models.IntegerField(default=0, db_default=0)
    total_open_positions = models.IntegerField(default=0, db_default=0)
    daily_pnl = exact(default=0, db_default=0, help_text="Since 00:00 UTC.")
    weekly_pnl = exact(default=0, db_default=0, help_text="Since Monday 00:00 UTC.")
    monthly_pnl = exact(default=0, db_default=0, help_text="Since the first of the month, UTC.")
    bot_metrics = models.JSONField(default=dict, db_default={}, help_text="The same figures, bot by bot.")
    is_backfilled = models.BooleanField(default=False, db_default=False, help_text="Made later for a missed slot.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "portfolio_snapshots"
        ordering = ["-timestamp"]
        constraints = [
            models.UniqueConstraint(fields=["timestamp", "currency"], name="portfolio_snapshots_one_per_slot"),
            models.CheckConstraint(condition=Q(active_bots__gte=0), name="portfolio_snapshots_bots_not_negative"),
            models.CheckConstraint(
                condition=Q(bots_in_trade__gte=0) & Q(total_open_positions__gte=0),
                name="portfolio_snapshots_counts_not_negative",
            ),
            models.CheckConstraint(condition=~Q(currency=""), name="portfolio_snapshots_has_currency"),
            finite_times("portfolio_snapshots_finite_times", "timestamp", "created_at"),
            json_objects("portfolio_snapshots_json_objects", "bot_metrics"),
        ]
        indexes = [models.Index(F("timestamp").desc(), name="idx_portfolio_timestamp")]

    def __str__(self) -> str:
        return f"{self.timestamp:%Y-%m-%d %H:%MZ}"
