"""Candles: a list over millions of rows, so every filter is one that an index answers."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from marketdata.models import Candle
from tradingdb.lib.admin import DayRangeFilter, DropdownFilter, ExactFilter, LedgerAdmin, exact_filter

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w")


class SymbolFilter(ExactFilter):
    """One symbol, written out: the index starts with the exchange, so there is no list to hop over."""

    title = "symbol"
    parameter_name = "symbol"

    def clean(self, value: str) -> str:
        return value.upper()


class IntervalFilter(DropdownFilter):
    """One of the usual intervals."""

    title = "interval"
    parameter_name = "interval"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(interval, interval) for interval in INTERVALS]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


@admin.register(Candle)
class CandleAdmin(LedgerAdmin):
    list_display = (
        "timestamp", "exchange", "symbol", "interval", "open_price", "high_price", "low_price", "close_price", "volume",
        "trades_count",
    )  # fmt: skip
    list_filter = (SymbolFilter, exact_filter("exchange"), IntervalFilter, ("timestamp", DayRangeFilter))
    ordering = ("-timestamp",)
    empty_note = "No candle yet. Bots and importers bring them."
    fieldsets = (
        (None, {"fields": (("symbol", "exchange"), ("interval", "timestamp"))}),
        (
            "Prices",
            {"fields": (("open_price", "close_price"), ("high_price", "low_price"), ("volume", "quote_volume"),
                        ("taker_buy_volume", "taker_sell_volume"), ("taker_buy_quote_volume", "trades_count"))},
        ),
        ("Indicators", {"fields": (("ema_20", "ema_50"), ("ema_200", "rsi_14"), "atr_14")}),
        ("Origin", {"fields": (("data_source", "created_at"),)}),
    )  # fmt: skip
