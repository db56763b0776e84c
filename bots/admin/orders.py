"""Orders with their fills and the history of their status."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from bots.admin.fills import FILL_COLUMNS
from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin, SymbolFilter
from bots.models import Fill, Order, OrderEvent
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter
from tradingdb.lib.sections import Section, table


@admin.register(Order)
class OrderAdmin(BotLedgerAdmin):
    list_display = (
        "order_id", "bot", "symbol", "side", "order_type", "status", "quantity", "num_filled", "price",
        "avg_fill_price", "fees", "created_at", "flags",
    )  # fmt: skip
    list_filter = (
        BOT_FILTER, SymbolFilter, ("status", ChoicesFilter), ("side", ChoicesFilter), ("created_at", DayRangeFilter)
    )  # fmt: skip
    ordering = ("-created_at",)
    natural_key = "order_id"
    totals = ("filled_notional", "fees")
    search_exact = ("exchange_order_id",)
    scoped_search = ("order_id",)
    search_help_text = "Whole order id or exchange order id"
    fieldsets = (
        (
            None,
            {"fields": (("order_id", "bot"), ("symbol", "side"), ("order_type", "order_purpose"), ("status", "intent"),
                        ("created_at", "submitted_at"), ("filled_at", "closed_at"), "updated_at")},
        ),
        (
            "Amounts",
            {"fields": (("quantity", "filled_quantity"), ("remaining_quantity", "num_filled"), ("price", "stop_price"),
                        ("avg_fill_price", "filled_notional"), ("fees", "commission"), ("leverage", "reduce_only"))},
        ),
        (
            "Where it belongs",
            {"fields": (("signal_id", "strategy"), ("position_id", "trade_id"),
                        ("exchange_order_id", "client_order_id"))},
        ),
        (
            "Told by the bot",
            {"fields": (("reported_status", "reported_at"), ("rejection_reason", "error_code"),
                        ("retry_count", "is_paper_trade"), "flags", "order_metadata")},
        ),
        ("Origin", {"fields": (("source", "config_version"), "received_at")}),
    )  # fmt: skip

    @admin.display(description="Filled")
    def num_filled(self, order: Order) -> SafeString:
        """The filled share of the quantity."""
        return display.share(order.filled_quantity / order.quantity)

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        mine = {"bot_id": row.bot_id, "order_id": row.order_id}
        return [
            table(self.admin_site, "Fills", Fill.objects.filter(**mine).order_by("executed_at", "fill_id"),
                  [name for name in FILL_COLUMNS if name != "order_id"], empty="Nothing has been filled."),
            table(self.admin_site, "Status history", OrderEvent.objects.filter(**mine).order_by("id"),
                  ("at", "from_status", "to_status", "was_applied", "fill_id", "flags", "source", "received_at")),
        ]  # fmt: skip


@admin.register(OrderEvent)
class OrderEventAdmin(BotLedgerAdmin):
    list_display = (
        "at", "bot", "order_id", "from_status", "to_status", "was_applied", "fill_id", "flags", "received_at"
    )  # fmt: skip
    list_filter = (BOT_FILTER,)
    ordering = ("-id",)
    scoped_search = ("order_id",)
    search_help_text = "Whole order id"
    fieldsets = (
        (
            None,
            {"fields": (("bot", "order_id"), ("from_status", "to_status"), ("was_applied", "fill_id"),
                        ("at", "received_at"), "flags", "details", "source")},
        ),
    )  # fmt: skip
