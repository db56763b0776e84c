"""Fills: each links to its order, its position and its trade."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin, symbols_of
from bots.models import Fill, Order, Position, Trade
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter
from tradingdb.lib.sections import Section, table

FILL_COLUMNS = (
    "fill_id", "executed_at", "side", "quantity", "price", "num_fee", "realized_pnl", "order_id", "liquidity", "flags"
)  # fmt: skip


@admin.register(Fill)
class FillAdmin(BotLedgerAdmin):
    list_display = (
        "fill_id", "bot", "symbol", "side", "quantity", "price", "num_fee", "realized_pnl", "executed_at", "order_id",
        "position_id", "flags",
    )  # fmt: skip
    list_filter = (BOT_FILTER, symbols_of(Order), ("side", ChoicesFilter), ("executed_at", DayRangeFilter))
    ordering = ("-executed_at",)
    natural_key = "fill_id"
    totals = ("realized_pnl", "fee_quote")
    scoped_search = ("fill_id", "order_id")
    search_help_text = "Whole fill or order id"
    fieldsets = (
        (
            None,
            {"fields": (("fill_id", "bot"), ("symbol", "side"), ("quantity", "price"), ("executed_at", "received_at"),
                        ("order_id", "account"), ("liquidity", "exchange_trade_id"))},
        ),
        ("Fee", {"fields": (("num_fee", "fee_rate"), ("fee_quote", "closing_fee_quote"))}),
        (
            "Effect on positions",
            {"fields": (("position_id", "opened_position_id"), ("closed_quantity", "realized_pnl"), "flags")},
        ),
        ("Origin", {"fields": (("source", "config_version"),)}),
    )  # fmt: skip

    @admin.display(description="Fee")
    def num_fee(self, fill: Fill) -> SafeString:
        """The fee as it was charged, in its own currency."""
        return display.money(fill.fee, unit=fill.fee_currency or "")

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        positions = [pid for pid in (row.position_id, row.opened_position_id) if pid]
        of_bot = {"bot_id": row.bot_id, "position_id__in": positions}
        return [
            table(self.admin_site, "Order", Order.objects.filter(bot_id=row.bot_id, order_id=row.order_id),
                  ("order_id", "status", "side", "quantity", "filled_quantity", "avg_fill_price", "created_at"),
                  empty="The order has not been reported."),
            table(self.admin_site, "Position", Position.objects.filter(**of_bot),
                  ("position_id", "side", "size", "avg_entry_price", "realized_pnl", "opened_at", "closed_at")),
            table(self.admin_site, "Trade", Trade.objects.filter(**of_bot),
                  ("trade_id", "side", "quantity", "entry_price", "exit_price", "pnl_usd", "exit_time")),
        ]  # fmt: skip
