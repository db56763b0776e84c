"""Positions with the fills, the trade and the orders they come from."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from bots.admin.fills import FILL_COLUMNS
from bots.admin.ledger import BOT_FILTER, NotesAdmin, SymbolFilter
from bots.models import Fill, Order, Position, Trade
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter
from tradingdb.lib.sections import Section, table

ORDER_COLUMNS = (
    "order_id", "status", "side", "order_type", "quantity", "num_filled", "avg_fill_price", "fees", "created_at"
)  # fmt: skip


def fills_of(bot_id: str, position_id: str) -> Any:
    """Return the fills that entered or left a position, oldest first."""
    # A fill that crossed zero belongs to the position it closed; the one it opened knows it by name, which is indexed.
    opening = Position.objects.filter(bot_id=bot_id, position_id=position_id).values_list("opening_fill_id", flat=True)
    mine = Fill.objects.filter(bot_id=bot_id)
    return mine.filter(Q(position_id=position_id) | Q(fill_id__in=list(opening))).order_by("executed_at", "fill_id")


def orders_of(bot_id: str, position_id: str) -> Any:
    """Return the orders whose fills made a position."""
    names = fills_of(bot_id, position_id).order_by().values("order_id")
    return Order.objects.filter(bot_id=bot_id, order_id__in=names).order_by("created_at")


@admin.register(Position)
class PositionAdmin(NotesAdmin):
    list_display = (
        "position_id", "bot", "symbol", "side", "status", "size", "avg_entry_price", "current_price", "unrealized_pnl",
        "realized_pnl", "fees", "opened_at", "closed_at",
    )  # fmt: skip
    list_filter = (
        BOT_FILTER, SymbolFilter, ("status", ChoicesFilter), ("side", ChoicesFilter), ("opened_at", DayRangeFilter)
    )  # fmt: skip
    ordering = ("-opened_at",)
    natural_key = "position_id"
    totals = ("unrealized_pnl", "realized_pnl", "fees", "total_pnl")
    scoped_search = ("position_id",)
    search_help_text = "Whole position id"
    fieldsets = (
        (
            None,
            {"fields": (("position_id", "bot"), ("symbol", "side"), ("status", "leverage"), ("opened_at", "closed_at"),
                        ("strategy", "fill_count"))},
        ),
        (
            "Size and cost",
            {"fields": (("size", "quantity"), ("avg_entry_price", "cost_basis"), ("entry_notional", "exit_notional"))},
        ),
        (
            "Profit and loss",
            {"fields": (("current_price", "marked_at"), ("unrealized_pnl", "unrealized_pnl_pct"),
                        ("realized_pnl", "fees"), "total_pnl")},
        ),
        (
            "Exits",
            {"fields": (("stop_loss", "take_profit"), ("trailing_stop_pct", "trailing_stop"),
                        ("highest_price", "lowest_price"), "take_profit_levels")},
        ),
        (
            "Fold",
            {"fields": (("opening_fill_id", "closing_fill_id"), ("last_fill_id", "last_fill_at"),
                        ("version", "last_updated"), ("source", "config_version"))},
        ),
        ("Told by the bot", {"fields": ("entry_signal", "position_metadata")}),
        ("Notes", {"fields": ("notes",)}),
    )  # fmt: skip

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        trades = Trade.objects.filter(bot_id=row.bot_id, position_id=row.position_id)
        return [
            table(self.admin_site, "Trade", trades,
                  ("trade_id", "state", "quantity", "entry_price", "exit_price", "pnl_usd", "fees", "exit_time")),
            table(self.admin_site, "Fills", fills_of(row.bot_id, row.position_id), FILL_COLUMNS),
            table(self.admin_site, "Orders", orders_of(row.bot_id, row.position_id), ORDER_COLUMNS),
        ]  # fmt: skip
