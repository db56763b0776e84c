"""Performance of strategies and of slices of a bot's trades."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from analytics.choices import Timeframe
from bots.choices import DeploymentMode
from tradingdb.lib.fields import finite_times, one_of, ratio, valid_symbol
from tradingdb.lib.json_rules import json_objects


class StrategyPerformance(models.Model):
    """The figures of one strategy over one period, in one deployment mode, under one definition.

    Ratios and fractions alone: they may be compared across currencies.
    """

    strategy = models.CharField(max_length=100, help_text="Name of the strategy.")
    deployment_mode = models.CharField(max_length=20, choices=DeploymentMode)
    timeframe = models.CharField(max_length=20, choices=Timeframe)
    timestamp = models.DateTimeField(help_text="End of the period; of all_time: the last moment that counts. UTC.")
    definition = models.CharField(
        max_length=40, default="canonical-1", db_default="canonical-1", help_text="How the figures were computed."
    )
    win_count = models.IntegerField(help_text="Trades that closed with a gain.")
    loss_count = models.IntegerField(help_text="Trades that closed with a loss.")
    win_rate = ratio(null=True, blank=True, help_text="Wins over all closed trades, a fraction.")
    profit_factor = ratio(null=True, blank=True, help_text="NULL without losses.")
    sharpe_ratio = ratio(null=True, blank=True)
    sortino_ratio = ratio(null=True, blank=True)
    max_drawdown = ratio(null=True, blank=True, help_text="Fraction of the peak, positive.")
    max_drawdown_duration = models.IntegerField(null=True, blank=True, help_text="Longest spell below a peak, in days.")
    total_return = ratio(null=True, blank=True, help_text="Fraction, over the period.")
    annualized_return = ratio(null=True, blank=True, help_text="Fraction, a year.")
    volatility = ratio(null=True, blank=True, help_text="Annualised, a fraction.")
    source = models.CharField(max_length=50, default="api", db_default="api", help_text="api, job or import:<name>.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "strategy_performance"
        ordering = ["-timestamp"]
        verbose_name_plural = "strategy performance"
        constraints = [
            models.UniqueConstraint(
                fields=["strategy", "timeframe", "timestamp", "deployment_mode", "definition"],
                name="strategy_performance_one_per_period",
            ),
            models.CheckConstraint(condition=~Q(strategy=""), name="strategy_performance_named"),
            one_of("deployment_mode", DeploymentMode, name="strategy_performance_valid_mode"),
            one_of("timeframe", Timeframe, name="strategy_performance_valid_timeframe"),
            models.CheckConstraint(
                condition=Q(win_count__gte=0) & Q(loss_count__gte=0), name="strategy_performance_counts_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(win_rate__gte=0) & Q(win_rate__lte=1), name="strategy_performance_valid_win_rate"
            ),
            models.CheckConstraint(condition=Q(profit_factor__gte=0), name="strategy_performance_factor_not_negative"),
            models.CheckConstraint(
                condition=Q(max_drawdown__gte=0) & Q(max_drawdown_duration__gte=0),
                name="strategy_performance_drawdown_not_negative",
            ),
            models.CheckConstraint(condition=Q(volatility__gte=0), name="strategy_performance_volatility_not_negative"),
            finite_times("strategy_performance_finite_times", "timestamp", "created_at"),
        ]
        indexes = [
            # Django takes index names of 30 characters at most, so "performance" is cut short.
            models.Index("strategy", F("timestamp").desc(), name="idx_strategy_perf_strategy"),
            models.Index(F("timestamp").desc(), name="idx_strategy_perf_timestamp"),
        ]

    def __str__(self) -> str:
        return f"{self.strategy} {self.timeframe} {self.timestamp:%Y-%m-%d}"


class PerformanceMetric(models.Model):
    """Figures of a slice of one bot's trades: by symbol, interval, entry and exit logic; NULL is "all of them"."""

    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="performance_metrics", db_index=False)
    deployment_mode = models.CharField(max_length=20, choices=DeploymentMode)
    currency = models.CharField(
        max_length=20, default="USDT", db_default="USDT", help_text="Currency of the money among the metrics."
    )
    symbol = models.CharField(max_length=40, null=True, blank=True)
    interval = models.CharField(max_length=10, null=True, blank=True, help_text="1m, 5m, 15m, 1h, 4h, 1d and the like.")
    entry_logic_name = models.CharField(max_length=100, null=True, blank=True)
    exit_logic_name = models.CharField(max_length=100, null=True, blank=True)
    definition = models.CharField(
        max_length=40, default="canonical-1", db_default="canonical-1", help_text="How the figures were computed."
    )
    metrics = models.JSONField(help_text="Figures by name; shares are fractions, money stands as text.")
    source = models.CharField(max_length=50, default="api", db_default="api", help_text="api, job or import:<name>.")
    calculated_at = models.DateTimeField(default=timezone.now, db_default=Now())
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "performance_metrics"
        ordering = ["-calculated_at"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "bot", "deployment_mode", "currency", "symbol", "interval", "entry_logic_name", "exit_logic_name",
                    "definition", "calculated_at",
                ],
                name="performance_metrics_one_per_moment",
                nulls_distinct=False,
            ),
            one_of("deployment_mode", DeploymentMode, name="performance_metrics_valid_mode"),
            models.CheckConstraint(condition=~Q(currency=""), name="performance_metrics_has_currency"),
            valid_symbol("performance_metrics_valid_symbol"),
            json_objects("performance_metrics_is_object", "metrics"),
            finite_times("performance_metrics_finite_times", "calculated_at", "created_at"),
        ]  # fmt: skip
        indexes = [
            models.Index(F("calculated_at").desc(), name="idx_perf_metrics_calculated_at"),
            models.Index("bot", F("calculated_at").desc(), name="idx_perf_metrics_bot_time"),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.symbol or 'all symbols'} {self.calculated_at:%Y-%m-%d %H:%M:%SZ}"


class PerformanceSnapshot(models.Model):
    """What a strategy showed at one moment, kept for pages that would otherwise compute it again."""

    strategy_id = models.CharField(max_length=100, help_text="Name of the strategy: free text, as the old pages sent.")
    timestamp = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="UTC.")
    deployment_mode = models.CharField(max_length=20, choices=DeploymentMode)
    currency = models.CharField(max_length=20, default="USDT", db_default="USDT", help_text="Currency of the money.")
    pnl = models.JSONField(help_text="total, realized, unrealized: money, as text.")
    positions = models.JSONField(null=True, blank=True, help_text="Open positions at that moment, a list or an object.")
    trades_count = models.IntegerField(default=0, db_default=0)
    win_rate = models.JSONField(null=True, blank=True, help_text="wins, losses, rate; the rate is a fraction.")
    drawdown = models.JSONField(null=True, blank=True, help_text="current, max: fractions of the peak.")
    metrics = models.JSONField(null=True, blank=True, help_text="Further figures by name.")
    source = models.CharField(max_length=50, default="api", db_default="api", help_text="api, job or import:<name>.")

    class Meta:
        db_table = "performance_snapshots"
        ordering = ["-timestamp"]
        constraints = [
            models.UniqueConstraint(
                fields=["strategy_id", "deployment_mode", "currency", "timestamp"],
                name="performance_snapshots_one_per_moment",
            ),
            models.CheckConstraint(condition=~Q(strategy_id=""), name="performance_snapshots_named"),
            one_of("deployment_mode", DeploymentMode, name="performance_snapshots_valid_mode"),
            models.CheckConstraint(condition=~Q(currency=""), name="performance_snapshots_has_currency"),
            models.CheckConstraint(condition=Q(trades_count__gte=0), name="performance_snapshots_count_not_negative"),
            json_objects("performance_snapshots_pnl_is_object", "pnl"),
            json_objects("performance_snapshots_are_objects", "win_rate", "drawdown", "metrics", null=True),
            finite_times("performance_snapshots_finite_times", "timestamp"),
        ]
        indexes = [
            models.Index("strategy_id", F("timestamp").desc(), name="idx_perf_snapshots_strategy_id"),
            models.Index(F("timestamp").desc(), name="idx_perf_snapshots_timestamp"),
        ]

    def __str__(self) -> str:
        return f"{self.strategy_id} {self.timestamp:%Y-%m-%d %H:%M:%SZ}"
