"""Trades with their fills, their position and their orders."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.admin.fills import FILL_COLUMNS
from bots.admin.ledger import BOT_FILTER, NotesAdmin, SymbolFilter
from bots.admin.positions import ORDER_COLUMNS, fills_of, orders_of
from bots.admin.reviews import REVIEW_COLUMNS, ReviewForm
from bots.models import Position, Trade, TradeReview
from bots.services.reviews import review_create
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, DropdownFilter
from tradingdb.lib.asking import asking
from tradingdb.lib.sections import Section, table

TRADE_COLUMNS = (
    "trade_id", "symbol", "side", "state", "quantity", "entry_price", "exit_price", "pnl_usd", "pnl_pct", "exit_time"
)  # fmt: skip


class StateFilter(DropdownFilter):
    """Open trades have an index of their own."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(exit_time__isnull=self.value() == "open") if self.value() else queryset


@admin.register(Trade)
class TradeAdmin(NotesAdmin):
    list_display = (
        "trade_id", "bot", "symbol", "side", "quantity", "entry_price", "exit_price", "pnl_usd", "pnl_pct", "holding",
        "entry_time",
    )  # fmt: skip
    list_filter = (
        BOT_FILTER, SymbolFilter, StateFilter, ("side", ChoicesFilter),
        ("entry_time", DayRangeFilter), ("exit_time", DayRangeFilter),
    )  # fmt: skip
    ordering = ("-entry_time",)
    natural_key = "trade_id"
    totals = ("gross_pnl", "fees", "pnl_usd")
    scoped_search = ("trade_id", "position_id")
    search_help_text = "Whole trade or position id"
    fieldsets = (
        (
            None,
            {"fields": (("trade_id", "bot"), ("symbol", "side"), ("state", "origin"), ("entry_time", "exit_time"),
                        ("holding", "exit_reason"), ("position_id", "strategy"))},
        ),
        (
            "Amounts",
            {"fields": (("quantity", "position_size_usd"), ("entry_price", "exit_price"), ("leverage", "trade_type"))},
        ),
        (
            "Profit and loss",
            {"fields": (("pnl_usd", "pnl_pct"), ("gross_pnl", "fees"), ("reported_pnl", "commission"),
                        ("max_favorable_excursion", "max_adverse_excursion"), "slippage")},
        ),
        (
            "Why it was made",
            {"fields": (("entry_logic", "exit_logic"), ("interval", "market_regime"),
                        ("signal_strength", "confidence_score"), ("stop_loss", "take_profit"), "trailing_stop_pct",
                        "strategy_params", "entry_conditions", "exit_conditions")},
        ),
        (
            "Origin",
            {"fields": (("status", "is_paper_trade"), ("source", "config_version"),
                        ("created_at", "updated_at"), "flags")},
        ),
        (
            "Told by its source",
            {"fields": (("buy_order_created", "buy_order_closed"), ("sell_order_created", "sell_order_closed"),
                        "extra_metadata")},
        ),
        ("Notes", {"fields": ("notes",)}),
    )  # fmt: skip
    actions_detail = ("review",)

    @admin.display(description="State")
    def state(self, trade: Trade) -> SafeString:
        """Open until flat; the seed's fill words say nothing about that."""
        return display.badge("open", tone="info") if trade.exit_time is None else display.badge("closed")

    @admin.display(description="Held for")
    def holding(self, trade: Trade) -> SafeString:
        if trade.exit_time is None:
            return display.badge("open", tone="info")
        return display.text(display.age(trade.exit_time - trade.entry_time))

    @asking(label="Review", permission="intervene", icon="rate_review", form_class=ReviewForm)
    def review(self, request: HttpRequest, row: Trade, data: dict[str, Any]) -> str:
        """Your verdict is kept beside the trade, under your name. One person writes one review of a trade, and may
        change it."""
        review_create(trade_pk=row.pk, says=data, actor=Actor(request.user, request))
        return "Your review is kept."

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        position = row.position_id or ""
        return [
            table(self.admin_site, "Fills", fills_of(row.bot_id, position), FILL_COLUMNS,
                  empty="This trade was reported whole, without fills."),
            table(self.admin_site, "Position", Position.objects.filter(bot_id=row.bot_id, position_id=position),
                  ("position_id", "status", "size", "avg_entry_price", "realized_pnl", "opened_at", "closed_at")),
            table(self.admin_site, "Orders", orders_of(row.bot_id, position), ORDER_COLUMNS),
            table(self.admin_site, "Reviews", TradeReview.objects.filter(trade=row).select_related("reviewer"),
                  REVIEW_COLUMNS, empty="Nobody has reviewed it."),
        ]  # fmt: skip
