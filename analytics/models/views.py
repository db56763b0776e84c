"""The seeds' four views as models without a table of their own, and when each was refreshed."""

from django.db import models
from django.db.models import F, Q

from analytics.choices import ViewName
from bots.choices import DeploymentMode, Direction
from tradingdb.lib.fields import amount, exact, finite_times, one_of, ratio


class ActivePositionSummary(models.Model):
    """One open position with its bot, as of the last refresh; keyed on the position, for a symbol can have two."""

    id = models.BigIntegerField(primary_key=True, help_text="Of the position.")
    position_id = models.CharField(max_length=100)
    bot = models.ForeignKey("bots.Bot", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    bot_name = models.CharField(max_length=100)
    deployment_mode = models.CharField(max_length=20, choices=DeploymentMode)
    symbol = models.CharField(max_length=40)
    currency = models.CharField(max_length=20, help_text="Of this row's money: the symbol's quote currency.")
    side = models.CharField(max_length=10, choices=Direction)
    size = amount()
    avg_entry_price = amount()
    current_price = amount(null=True, help_text="Last mark.")
    unrealized_pnl = exact(help_text="At the last mark, in the quote currency.")
    unrealized_pnl_pct = ratio(null=True, help_text="Fraction of the cost basis.")
    leverage = amount()
    position_value_usd = exact(
        null=True, help_text="Size x last mark, in the quote currency; NULL before the first mark."
    )
    opened_at = models.DateTimeField()
    hours_held = ratio(help_text="From the opening to the last refresh.")
    strategy = models.CharField(max_length=100)
    stop_loss = amount(null=True)
    take_profit = amount(null=True)

    class Meta:
        managed = False
        db_table = "active_positions_summary"
        ordering = ["-opened_at"]
        verbose_name = verbose_name_plural = "active positions summary"
        constraints = [
            models.UniqueConstraint(fields=["id"], name="idx_active_pos_summary_id"),
            models.UniqueConstraint(fields=["bot", "position_id"], name="idx_active_pos_summary_key"),
        ]
        indexes = [
            models.Index(fields=["bot"], name="idx_active_pos_summary_bot"),
            models.Index(F("opened_at").desc(), name="idx_active_pos_summary_opened"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.symbol} of {self.bot_id}"


class DailyPerformanceSummary(models.Model):
    """The closed trades of one bot that were entered on one UTC day, added up as of the last refresh.

    Money has a sum where all of the day's trades are quoted in one currency; `money` has the sum of each currency.
    """

    id = models.CharField(max_length=61, primary_key=True, help_text="Day and bot.")
    trade_date = models.DateField(help_text="UTC day of the entries.")
    bot = models.ForeignKey("bots.Bot", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    bot_name = models.CharField(max_length=100)
    strategy_name = models.CharField(max_length=100)
    deployment_mode = models.CharField(max_length=20, choices=DeploymentMode)
    currency = models.CharField(
        max_length=20, null=True, help_text="Of this row's money; NULL, as the sums are, when there are several."
    )
    total_trades = models.IntegerField()
    winning_trades = models.IntegerField(help_text="Net P&L above zero.")
    losing_trades = models.IntegerField(help_text="Net P&L below zero.")
    total_pnl = exact(null=True, help_text="Net.")
    avg_pnl = exact(null=True, help_text="Net P&L of a trade, on average.")
    avg_pnl_pct = ratio(help_text="Net P&L as a fraction of a trade's entries, on average.")
    max_win = exact(null=True, help_text="Largest net P&L of a trade, whatever its sign.")
    max_loss = exact(null=True, help_text="Smallest net P&L of a trade, whatever its sign.")
    total_fees = exact(null=True)
    avg_holding_hours = ratio(null=True, help_text="Of the trades whose duration is known.")
    win_rate = ratio(null=True, help_text="Wins over all closed trades, a fraction.")
    money = models.JSONField(help_text="Trades, net P&L and fees of each quote currency.")

    class Meta:
        managed = False
        db_table = "daily_performance_summary"
        ordering = ["-trade_date"]
        verbose_name = verbose_name_plural = "daily performance summary"
        constraints = [
            models.UniqueConstraint(fields=["id"], name="idx_daily_perf_summary_id"),
            models.UniqueConstraint(fields=["trade_date", "bot"], name="idx_daily_perf_summary"),
        ]
        indexes = [models.Index("bot", F("trade_date").desc(), name="idx_daily_perf_summary_bot")]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.trade_date}"


class SystemHealthDashboard(models.Model):
    """The whole system in one row, as of the last refresh.

    Live and demo, and unlike currencies, are never added up: where there are several groups a sum is NULL, and
    `money` has each of them. Today is the UTC day.
    """

    id = models.SmallIntegerField(primary_key=True, help_text="Always 1.")
    snapshot_time = models.DateTimeField(help_text="When these figures were true.")
    active_bots = models.IntegerField()
    paused_bots = models.IntegerField()
    stopped_bots = models.IntegerField()
    total_open_positions = models.IntegerField()
    today_pnl = exact(null=True, help_text="Net P&L realised so far of the trades entered today; quote currency.")
    today_trades = models.IntegerField(help_text="Trades entered today, open ones too.")
    active_orders = models.IntegerField(help_text="Orders the exchange may still fill.")
    errors_last_hour = models.IntegerField(help_text="Events of level ERROR or CRITICAL.")
    total_portfolio_equity = exact(null=True, help_text="Last reported equity of all active bots.")
    unresolved_risk_events = models.IntegerField(help_text="Of the last 24 hours.")
    money = models.JSONField(
        help_text="By deployment mode and currency: P&L and trades of today, equity of the active bots, how many "
        "they are, and how many of them have not reported an equity."
    )

    class Meta:
        managed = False
        db_table = "system_health_dashboard"
        ordering = ["-snapshot_time"]
        verbose_name = verbose_name_plural = "system health dashboard"
        constraints = [
            models.UniqueConstraint(fields=["id"], name="idx_system_health_id"),
            models.UniqueConstraint(fields=["snapshot_time"], name="idx_system_health"),
        ]

    def __str__(self) -> str:
        return f"{self.snapshot_time:%Y-%m-%d %H:%M:%SZ}"


class DailyOhlcv(models.Model):
    """One UTC day of one symbol on one exchange, from the interval whose candles cover most of it.

    Of equal coverage the finest interval counts. Read from `daily_candles`, or from TimescaleDB's own aggregate.
    """

    id = models.CharField(max_length=102, primary_key=True, help_text="Day, symbol and exchange.")
    exchange = models.CharField(max_length=50)
    symbol = models.CharField(max_length=40)
    day = models.DateTimeField(help_text="Start of the UTC day.")
    open = amount(help_text="Of the first candle.")
    high = amount()
    low = amount()
    close = amount(help_text="Of the last candle.")
    volume = exact(help_text="In the base currency.")
    interval = models.CharField(max_length=10, help_text="Of the candles it is made of.")
    candles = models.IntegerField(help_text="How many there were.")
    coverage = ratio(help_text="Share of the day that they cover, a fraction.")

    class Meta:
        managed = False
        db_table = "daily_ohlcv"
        ordering = ["-day"]
        verbose_name = verbose_name_plural = "daily OHLCV"

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.day:%Y-%m-%d}"


class ViewRefresh(models.Model):
    """When and how one view was refreshed last."""

    view_name = models.CharField(max_length=40, primary_key=True, choices=ViewName)
    refreshed_at = models.DateTimeField(null=True, help_text="Last success; the view shows what was true then.")
    attempted_at = models.DateTimeField(help_text="Last attempt; later than the last success when it failed.")
    duration_ms = models.IntegerField(help_text="Of the last attempt.")
    row_count = models.BigIntegerField(
        null=True, help_text="Rows after the last success; of daily_ohlcv, the days of all intervals."
    )
    error = models.TextField(blank=True, default="", db_default="", help_text="Why the last attempt failed.")

    class Meta:
        db_table = "view_refreshes"
        ordering = ["view_name"]
        verbose_name_plural = "view refreshes"
        constraints = [
            one_of("view_name", ViewName, name="view_refreshes_valid_name"),
            models.CheckConstraint(condition=Q(duration_ms__gte=0), name="view_refreshes_duration_not_negative"),
            models.CheckConstraint(condition=Q(row_count__gte=0), name="view_refreshes_rows_not_negative"),
            finite_times("view_refreshes_finite_times", "refreshed_at", "attempted_at"),
        ]

    def __str__(self) -> str:
        return self.view_name
