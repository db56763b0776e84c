"""Equity over time."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from analytics.models import EquitySnapshot
from tradingdb.lib import display
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, RelatedFilter
from tradingdb.lib.units import Kind


@admin.register(EquitySnapshot)
class EquitySnapshotAdmin(LedgerAdmin):
    list_display = (
        "timestamp", "show_account", "show_bot", "currency", "deployment_mode", "total_equity", "available_balance",
        "allocated_in_positions", "unrealized_pnl", "realized_daily_pnl", "open_position_count",
    )  # fmt: skip
    list_filter = (("bot", RelatedFilter), ("account", RelatedFilter), ("timestamp", DayRangeFilter))
    list_select_related = ("account",)
    ordering = ("-timestamp",)
    empty_note = "No equity has been reported or imported yet."
    fieldsets = (
        (
            None,
            {"fields": (("timestamp", "deployment_mode"), ("show_account", "show_bot"), ("currency", "source"),
                        "created_at")},
        ),
        (
            "Money",
            {"fields": (("total_equity", "available_balance"), ("allocated_in_positions", "open_position_count"),
                        ("unrealized_pnl", "realized_daily_pnl"))},
        ),
    )  # fmt: skip

    def units(self, row: Any) -> Mapping[Kind, str]:
        return {Kind.ACCOUNT: row.currency}

    @admin.display(description="Account")
    def show_account(self, row: EquitySnapshot) -> SafeString:
        if row.account is None:
            return display.UNKNOWN
        return display.link(row.account.account_id, "bots_exchangeaccount_change", row.account.pk)

    @admin.display(description="Bot")
    def show_bot(self, row: EquitySnapshot) -> SafeString:
        """A dash: the row speaks of the whole account."""
        return display.link(row.bot_id, "bots_bot_change", row.bot_id) if row.bot_id else display.UNKNOWN
