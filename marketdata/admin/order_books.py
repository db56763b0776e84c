"""Order books: the best prices in the list, the best levels side by side on the page."""

from decimal import Decimal
from itertools import islice, zip_longest
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.utils.safestring import SafeString

from marketdata.admin.candles import SymbolFilter
from marketdata.models import OrderBookSnapshot
from tradingdb.lib import display
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, exact_filter
from tradingdb.lib.sections import ROWS, Section

HEADINGS = [("Bid quantity", True), ("Bid price", True), ("Ask price", True), ("Ask quantity", True)]


def figure(value: Any) -> SafeString:
    """Return a price or a quantity of a level, which is a number or decimal text."""
    return display.number(None if value is None else Decimal(str(value)))


@admin.register(OrderBookSnapshot)
class OrderBookSnapshotAdmin(LedgerAdmin):
    list_display = ("timestamp", "exchange", "symbol", "num_best_bid", "num_best_ask", "last_update_id", "data_source")
    list_filter = (SymbolFilter, exact_filter("exchange"), ("timestamp", DayRangeFilter))
    ordering = ("-timestamp",)
    empty_note = "No order book yet. Bots and importers bring them."
    fieldsets = (
        (
            None,
            {"fields": (("symbol", "exchange"), ("timestamp", "last_update_id"), ("num_best_bid", "num_best_ask"))},
        ),
        ("Origin", {"fields": (("data_source", "created_at"),)}),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[OrderBookSnapshot]:
        """Take the best prices out of the books: fifty whole books are no list."""
        rows: models.QuerySet[OrderBookSnapshot] = super().get_queryset(request).defer("bids", "asks")
        return rows.annotate(best_bid=KT("bids__0__0"), best_ask=KT("asks__0__0"))

    @admin.display(description="Best bid")
    def num_best_bid(self, row: Any) -> SafeString:
        return figure(row.best_bid)

    @admin.display(description="Best ask")
    def num_best_ask(self, row: Any) -> SafeString:
        return figure(row.best_ask)

    def sections(self, request: HttpRequest, row: OrderBookSnapshot) -> list[Section]:
        lines = []
        for bid, ask in islice(zip_longest(row.bids, row.asks, fillvalue=(None, None)), ROWS):
            values = [figure(value) for value in (bid[1], bid[0], ask[0], ask[1])]
            lines.append(Section.line(HEADINGS, values))
        title = f"Best levels (of {len(row.bids)} bids and {len(row.asks)} asks)"
        return [Section(title=title, headings=HEADINGS, lines=lines, empty="The book was empty.")]
