"""Signals with the order and the trade they led to."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from bots.admin.ledger import BOT_FILTER, NotesAdmin, SymbolFilter
from bots.admin.positions import ORDER_COLUMNS
from bots.models import Order, Signal, Trade
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter
from tradingdb.lib.sections import Section, table


@admin.register(Signal)
class SignalAdmin(NotesAdmin):
    list_display = (
        "signal_id", "bot", "symbol", "signal_type", "price", "strength", "confidence", "executed", "rejected",
        "outcome", "outcome_pnl", "timestamp",
    )  # fmt: skip
    list_filter = (BOT_FILTER, SymbolFilter, ("signal_type", ChoicesFilter), ("timestamp", DayRangeFilter))
    ordering = ("-timestamp",)
    natural_key = "signal_id"
    scoped_search = ("signal_id",)
    search_help_text = "Whole signal id"
    fieldsets = (
        (
            None,
            {"fields": (("signal_id", "bot"), ("symbol", "signal_type"), ("price", "strategy"),
                        ("strength", "confidence"), ("timestamp", "valid_until"))},
        ),
        (
            "Suggested",
            {"fields": (("suggested_stop_loss", "suggested_take_profit"), "suggested_position_size")},
        ),
        (
            "What became of it",
            {"fields": (("executed", "execution_time"), ("execution_order_id", "execution_trade_id"),
                        ("rejected", "rejection_reason"), ("outcome", "outcome_pnl"))},
        ),
        ("Told by the bot", {"fields": ("parameters", "indicators", "market_conditions", "passed_filters")}),
        ("Origin", {"fields": (("source", "config_version"), "created_at", "extra_metadata")}),
        ("Notes", {"fields": ("notes",)}),
    )  # fmt: skip

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        mine = {"bot_id": row.bot_id}
        orders = Order.objects.filter(**mine, order_id=row.execution_order_id or "")
        trades = Trade.objects.filter(**mine, trade_id=row.execution_trade_id or "")
        return [
            table(self.admin_site, "Order", orders, ORDER_COLUMNS, empty="No order came of it."),
            table(self.admin_site, "Trade", trades,
                  ("trade_id", "state", "quantity", "entry_price", "exit_price", "pnl_usd", "exit_time"),
                  empty="No trade came of it."),
        ]  # fmt: skip
