"""Technical indicators, value by value."""

from django.contrib import admin

from marketdata.admin.candles import IntervalFilter, SymbolFilter
from marketdata.models import TechnicalIndicator
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, exact_filter


class TimeframeFilter(IntervalFilter):
    """One of the usual intervals, by the name the column has here."""

    title = "timeframe"
    parameter_name = "timeframe"


@admin.register(TechnicalIndicator)
class TechnicalIndicatorAdmin(LedgerAdmin):
    list_display = ("timestamp", "exchange", "symbol", "timeframe", "indicator_name", "value", "parameters")
    list_filter = (
        SymbolFilter, exact_filter("exchange"), TimeframeFilter, exact_filter("indicator_name", "indicator"),
        ("timestamp", DayRangeFilter),
    )  # fmt: skip
    ordering = ("-timestamp",)
    empty_note = "No indicator yet. Bots and importers bring them."
    fieldsets = (
        (
            None,
            {"fields": (("symbol", "exchange"), ("timeframe", "timestamp"), ("indicator_name", "value"),
                        "parameters")},
        ),
        ("Origin", {"fields": (("data_source", "created_at"),)}),
    )  # fmt: skip
