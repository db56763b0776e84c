"""Daily risk and performance figures."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import exact, finite_times, ratio


class RiskMetrics(models.Model):
    """The figures of one bot and one UTC day under one definition; a recomputation from the ledger gives the same.

    Counts and sums are of the day's closed trades (by exit time); ratios and drawdowns run over the history up to it.
    """

    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="risk_metrics", db_index=False)
    date = models.DateField(help_text="UTC day.")
    definition = models.CharField(max_length=40, default="canonical-1", db_default="canonical-1")
    starting_equity = exact()
    ending_equity = exact()
    daily_pnl = exact(default=0, db_default=0, help_text="Change of equity without cash flows.")
    daily_pnl_pct = ratio(null=True, blank=True, help_text="Fraction of the starting equity.")
    daily_return = ratio(null=True, blank=True, help_text="Time-weighted return, a fraction.")
    total_trades = models.IntegerField(default=0, db_default=0)
    winning_trades = models.IntegerField(default=0, db_default=0)
    losing_trades = models.IntegerField(default=0, db_default=0)
    breakeven_trades = models.IntegerField(default=0, db_default=0)
    win_rate = ratio(null=True, blank=True, help_text="Wins over all closed trades of the day, a fraction.")
    gross_profit = exact(default=0, db_default=0, help_text="Sum of the winners' net P&L.")
    gross_loss = exact(default=0, db_default=0, help_text="Sum of the losers' net P&L, as a positive number.")
    net_profit = exact(default=0, db_default=0)
    profit_factor = ratio(null=True, blank=True, help_text="NULL without losses.")
    avg_win = exact(null=True, blank=True)
    avg_loss = exact(null=True, blank=True)
    largest_win = exact(null=True, blank=True)
    largest_loss = exact(null=True, blank=True)
    expectancy = exact(null=True, blank=True, help_text="Mean net P&L of a trade, over the history.")
    payoff_ratio = ratio(null=True, blank=True)
    sqn = ratio(null=True, blank=True, help_text="System quality number, over the history.")
    max_drawdown = exact(null=True, blank=True, help_text="In money.")
    max_drawdown_pct = ratio(null=True, blank=True, help_text="Fraction of the peak.")
    max_drawdown_days = models.IntegerField(null=True, blank=True)
    current_drawdown = ratio(null=True, blank=True, help_text="Fraction of the peak.")
    sharpe_ratio = ratio(null=True, blank=True)
    sortino_ratio = ratio(null=True, blank=True)
    calmar_ratio = ratio(null=True, blank=True)
    volatility = ratio(null=True, blank=True, help_text="Annualised, a fraction.")
    cagr = ratio(null=True, blank=True)
    var_95 = exact(null=True, blank=True, help_text="One day, historical, in money; positive is a loss.")
    cvar_95 = exact(null=True, blank=True)
    avg_leverage = ratio(null=True, blank=True)
    max_leverage = ratio(null=True, blank=True)
    avg_position_size = exact(null=True, blank=True)
    max_exposure = exact(null=True, blank=True)
    avg_holding_time_hours = ratio(null=True, blank=True)
    shortest_trade_hours = ratio(null=True, blank=True)
    longest_trade_hours = ratio(null=True, blank=True)
    max_consecutive_wins = models.IntegerField(default=0, db_default=0)
    max_consecutive_losses = models.IntegerField(default=0, db_default=0)
    inputs_hash = models.CharField(max_length=64, help_text="SHA-256 of the inputs; another one: stale.")
    is_provisional = models.BooleanField(default=False, db_default=False, help_text="Too few data, or a hole in them.")
    provisional_reasons = ArrayField(models.CharField(max_length=60), default=list, blank=True, db_default=[])
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    calculated_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        db_table = "risk_metrics"
        ordering = ["-date", "bot"]
        verbose_name_plural = "risk metrics"
        constraints = [
            models.UniqueConstraint(fields=["bot", "date", "definition"], name="unique_bot_date"),
            models.CheckConstraint(
                condition=Q(total_trades=F("winning_trades") + F("losing_trades") + F("breakeven_trades")),
                name="risk_metrics_counts_add_up",
            ),
            models.CheckConstraint(
                condition=Q(winning_trades__gte=0) & Q(losing_trades__gte=0) & Q(breakeven_trades__gte=0),
                name="risk_metrics_counts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(win_rate__gte=0) & Q(win_rate__lte=1), name="risk_metrics_valid_win_rate"
            ),
            models.CheckConstraint(
                condition=Q(gross_profit__gte=0) & Q(gross_loss__gte=0), name="risk_metrics_gross_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(max_drawdown__gte=0) & Q(max_drawdown_pct__gte=0) & Q(current_drawdown__gte=0),
                name="risk_metrics_drawdown_not_negative",
            ),
            finite_times("risk_metrics_finite_times", "date", "created_at", "calculated_at"),
        ]
        indexes = [
            models.Index(fields=["bot"], name="idx_risk_metrics_bot_id"),
            models.Index(F("date").desc(), name="idx_risk_metrics_date"),
            models.Index("bot", F("date").desc(), name="idx_risk_metrics_bot_date"),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.date}"
