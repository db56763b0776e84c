"""Balances and cash flows."""

from collections.abc import Mapping

from django.contrib import admin

from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin
from bots.models import AccountBalance, CashFlow
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter


@admin.register(AccountBalance)
class AccountBalanceAdmin(BotLedgerAdmin):
    list_display = (
        "timestamp", "bot", "equity", "total_balance", "available_balance", "locked_balance", "margin_used",
        "unrealized_pnl", "daily_pnl", "snapshot_type", "flags",
    )  # fmt: skip
    list_filter = (BOT_FILTER, ("timestamp", DayRangeFilter))
    ordering = ("-timestamp",)
    scoped_search = ("balance_id",)
    search_help_text = "Whole balance id"
    fieldsets = (
        (
            None,
            {"fields": (("balance_id", "bot"), ("timestamp", "snapshot_type"), ("equity", "total_balance"),
                        ("available_balance", "locked_balance"))},
        ),
        ("Margin", {"fields": (("margin_used", "margin_available"), "margin_level")}),
        ("Profit and loss", {"fields": (("unrealized_pnl", "realized_pnl"), "daily_pnl")}),
        ("Origin", {"fields": (("data_source", "source"), ("created_at", "flags"))}),
    )  # fmt: skip


@admin.register(CashFlow)
class CashFlowAdmin(BotLedgerAdmin):
    list_display = ("cash_flow_id", "bot", "kind", "amount", "currency", "occurred_at", "source")
    list_filter = (BOT_FILTER, ("kind", ChoicesFilter))
    ordering = ("-id",)
    scoped_search = ("cash_flow_id",)
    totals = ("amount",)
    search_help_text = "Whole cash flow id"
    fieldsets = (
        (
            None,
            {"fields": (("cash_flow_id", "bot"), ("kind", "occurred_at"), ("amount", "currency"),
                        ("source", "created_at"), "notes")},
        ),
    )  # fmt: skip

    def get_totals_by(self) -> Mapping[str, str]:
        """Each flow says its own currency."""
        return {**super().get_totals_by(), "currency": "currency"}
