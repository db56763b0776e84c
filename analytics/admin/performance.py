"""Performance of strategies and of slices of a bot's trades."""

from django.contrib import admin
from django.utils.safestring import SafeString

from analytics.models import PerformanceMetric, PerformanceSnapshot, StrategyPerformance
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, RelatedFilter, exact_filter
from tradingdb.lib.columns import RATIO_PLACES


@admin.register(StrategyPerformance)
class StrategyPerformanceAdmin(LedgerAdmin):
    list_display = (
        "timestamp", "strategy", "timeframe", "deployment_mode", "win_count", "loss_count", "win_rate",
        "num_profit_factor", "sharpe_ratio", "max_drawdown", "total_return",
    )  # fmt: skip
    list_filter = (exact_filter("strategy"), ("timeframe", ChoicesFilter), ("timestamp", DayRangeFilter))
    ordering = ("-timestamp",)
    empty_note = "No performance of a strategy has been computed or imported yet."
    fieldsets = (
        (
            None,
            {"fields": (("strategy", "deployment_mode"), ("timeframe", "timestamp"), ("definition", "source"),
                        "created_at")},
        ),
        ("Trades", {"fields": (("win_count", "loss_count"), ("win_rate", "num_profit_factor"))}),
        (
            "Return and risk",
            {"fields": (("total_return", "annualized_return"), ("sharpe_ratio", "sortino_ratio"),
                        ("max_drawdown", "max_drawdown_duration"), "volatility")},
        ),
    )  # fmt: skip

    @admin.display(description="Profit factor")
    def num_profit_factor(self, row: StrategyPerformance) -> SafeString:
        """Unlimited where there were gains and no loss."""
        if row.profit_factor is None and row.win_count and not row.loss_count:
            return display.unlimited()
        return display.number(row.profit_factor, places=RATIO_PLACES)


@admin.register(PerformanceMetric)
class PerformanceMetricAdmin(LedgerAdmin):
    list_display = (
        "calculated_at", "show_bot", "deployment_mode", "symbol", "interval", "entry_logic_name", "exit_logic_name",
        "definition",
    )  # fmt: skip
    list_filter = (("bot", RelatedFilter), ("calculated_at", DayRangeFilter))
    ordering = ("-calculated_at",)
    empty_note = "No slice of a bot's trades has been measured or imported yet."
    fieldsets = (
        (
            None,
            {"fields": (("show_bot", "deployment_mode"), ("symbol", "interval"),
                        ("entry_logic_name", "exit_logic_name"), ("currency", "definition"))},
        ),
        ("Metrics", {"fields": ("metrics",)}),
        ("Origin", {"fields": (("calculated_at", "source"), "created_at")}),
    )  # fmt: skip

    @admin.display(description="Bot")
    def show_bot(self, row: PerformanceMetric) -> SafeString:
        return display.link(row.bot_id, "bots_bot_change", row.bot_id)


@admin.register(PerformanceSnapshot)
class PerformanceSnapshotAdmin(LedgerAdmin):
    list_display = ("timestamp", "strategy", "deployment_mode", "currency", "num_total_pnl", "trades_count")
    list_filter = (exact_filter("strategy_id", "strategy"), ("timestamp", DayRangeFilter))
    ordering = ("-timestamp",)
    empty_note = "No snapshot of a strategy has been stored or imported yet."
    fieldsets = (
        (
            None,
            {"fields": (("strategy", "deployment_mode"), ("timestamp", "currency"), ("trades_count", "source"))},
        ),
        ("Figures", {"fields": ("pnl", "win_rate", "drawdown", "metrics")}),
        ("Positions", {"fields": ("positions",)}),
    )  # fmt: skip

    @admin.display(description="Strategy")
    def strategy(self, row: PerformanceSnapshot) -> SafeString:
        return display.text(row.strategy_id)

    @admin.display(description="Total P&L")
    def num_total_pnl(self, row: PerformanceSnapshot) -> SafeString:
        """As it was sent: the JSON is free, so this need not be a number."""
        return display.text(row.pnl.get("total"))
