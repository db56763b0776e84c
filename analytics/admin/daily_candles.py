"""Candles added up to UTC days, and the days that wait for it."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin

from analytics.models import DailyCandle, DailyCandleChange
from bots.ledger.symbols import split_symbol
from marketdata.admin.candles import IntervalFilter, SymbolFilter
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, exact_filter
from tradingdb.lib.units import Kind

OHLCV = ("open", "high", "low", "close", "volume", "candles")
SERIES_FILTERS = (SymbolFilter, exact_filter("exchange"), IntervalFilter, ("day", DayRangeFilter))


class SeriesAdmin(LedgerAdmin):
    """A page of rows about one symbol on one exchange."""

    def units(self, row: Any) -> Mapping[Kind, str]:
        base, quote = split_symbol(row.symbol, "")
        return {Kind.PRICE: quote, Kind.QUANTITY: base}


@admin.register(DailyCandle)
class DailyCandleAdmin(SeriesAdmin):
    list_display = ("day", "exchange", "symbol", "interval", *OHLCV, "coverage", "is_shown", "computed_at")
    list_filter = SERIES_FILTERS
    ordering = ("-day",)
    empty_note = "A job adds candles up every five minutes; TimescaleDB's community edition does it itself, elsewhere."
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("symbol", "exchange"),
                    ("day", "interval"),
                    ("candles", "coverage"),
                    ("is_shown", "computed_at"),
                )
            },
        ),
        ("Prices", {"fields": (("open", "close"), ("high", "low"), "volume")}),
    )


@admin.register(DailyCandleChange)
class DailyCandleChangeAdmin(LedgerAdmin):
    list_display = ("day", "exchange", "symbol", "interval", "noted_at")
    list_filter = SERIES_FILTERS
    ordering = ("day",)
    empty_note = "Every change of a candle has been added up."
    fieldsets = ((None, {"fields": (("symbol", "exchange"), ("day", "interval"), "noted_at")}),)
