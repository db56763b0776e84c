"""Snapshots of the whole portfolio."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin

from analytics.models import PortfolioSnapshot
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin
from tradingdb.lib.units import Kind


@admin.register(PortfolioSnapshot)
class PortfolioSnapshotAdmin(LedgerAdmin):
    list_display = (
        "timestamp", "currency", "total_equity", "total_balance", "total_unrealized_pnl", "daily_pnl", "weekly_pnl",
        "monthly_pnl", "total_open_positions", "active_bots", "is_backfilled",
    )  # fmt: skip
    list_filter = (("timestamp", DayRangeFilter),)
    ordering = ("-timestamp",)
    empty_note = "Written every five minutes by a job."
    fieldsets = (
        (None, {"fields": (("timestamp", "currency"), ("is_backfilled", "created_at"))}),
        (
            "Totals",
            {"fields": (("total_equity", "total_balance"), ("total_unrealized_pnl", "total_realized_pnl"),
                        ("total_margin_used", "portfolio_exposure"), ("portfolio_leverage", "portfolio_var_95"))},
        ),
        ("Profit and loss", {"fields": (("daily_pnl", "weekly_pnl"), "monthly_pnl")}),
        ("Counts", {"fields": (("active_bots", "bots_in_trade"), "total_open_positions")}),
        ("Bot by bot", {"fields": ("bot_metrics",)}),
    )  # fmt: skip

    def units(self, row: Any) -> Mapping[Kind, str]:
        return {Kind.ACCOUNT: row.currency}
