"""Daily figures of each bot."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from analytics.models import RiskMetrics
from tradingdb.lib import display
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, RelatedFilter
from tradingdb.lib.columns import RATIO_PLACES
from tradingdb.lib.units import Kind

METRIC_COLUMNS = (
    "date", "daily_pnl", "daily_return", "ending_equity", "total_trades", "win_rate", "num_profit_factor",
    "sharpe_ratio", "current_drawdown", "max_drawdown_pct",
)  # fmt: skip


@admin.register(RiskMetrics)
class RiskMetricsAdmin(LedgerAdmin):
    list_display = ("date", "show_bot", *METRIC_COLUMNS[1:], "quality")
    list_filter = (("bot", RelatedFilter), ("date", DayRangeFilter))
    ordering = ("-date",)
    empty_note = "Computed once a day for each bot, after the UTC day has ended."
    fieldsets = (
        (None, {"fields": (("show_bot", "date"), ("definition", "quality"), ("calculated_at", "created_at"))}),
        (
            "Equity",
            {"fields": (("starting_equity", "ending_equity"), ("daily_pnl", "daily_pnl_pct"), "daily_return")},
        ),
        (
            "Closed trades of the day",
            {"fields": (("total_trades", "win_rate"), ("winning_trades", "losing_trades"),
                        ("breakeven_trades", "net_profit"), ("gross_profit", "gross_loss"),
                        ("num_profit_factor", "payoff_ratio"), ("avg_win", "avg_loss"),
                        ("largest_win", "largest_loss"), ("avg_holding_time_hours", "shortest_trade_hours"),
                        "longest_trade_hours")},
        ),
        (
            "History up to the day",
            {"fields": (("sharpe_ratio", "sortino_ratio"), ("calmar_ratio", "sqn"), ("volatility", "cagr"),
                        ("expectancy", "max_drawdown_days"), ("max_drawdown", "max_drawdown_pct"),
                        ("current_drawdown", "var_95"), ("cvar_95", "max_exposure"),
                        ("max_consecutive_wins", "max_consecutive_losses"))},
        ),
        (
            "Exposure",
            {"fields": (("avg_leverage", "max_leverage"), "avg_position_size")},
        ),
        ("Inputs", {"fields": ("provisional_reasons", "inputs_hash")}),
    )  # fmt: skip

    def units(self, row: Any) -> Mapping[Kind, str]:
        return {Kind.ACCOUNT: row.bot.currency}

    @admin.display(description="Bot")
    def show_bot(self, row: RiskMetrics) -> SafeString:
        return display.link(row.bot_id, "bots_bot_change", row.bot_id)

    @admin.display(description="Profit factor")
    def num_profit_factor(self, row: RiskMetrics) -> SafeString:
        """Unlimited where there were gains and no loss."""
        if row.profit_factor is None and row.gross_profit > 0:
            return display.unlimited()
        return display.number(row.profit_factor, places=RATIO_PLACES)

    @admin.display(description="Quality")
    def quality(self, row: RiskMetrics) -> SafeString:
        return display.badge("provisional", tone="warn") if row.is_provisional else display.badge("final", tone="ok")
