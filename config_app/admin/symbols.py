"""Symbols that the house watches."""

from django.contrib import admin
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from config_app.models import WatchedSymbol
from tradingdb.lib import display

DETAILS = ("timeframes", "price_precision", "quantity_precision", "min_notional", "min_quantity")


@admin.register(WatchedSymbol)
class WatchedSymbolAdmin(RecordedAdmin):
    list_display = (
        "symbol", "base_asset", "quote_asset", "is_active", "show_timeframes", "price_precision", "quantity_precision",
        "min_notional", "min_quantity",
    )  # fmt: skip
    list_filter = ("is_active", "quote_asset")
    search_fields = ("symbol", "base_asset")
    empty_note = "No symbol is watched yet. Add one, and say how fine and how small its orders may be."
    ordering = ("symbol",)
    addable = ("symbol", "base_asset", "quote_asset", *DETAILS)
    # What a symbol is made of stays.
    editable = ("is_active", *DETAILS, "reason")
    importable = ("symbol", "base_asset", "quote_asset", "is_active", *DETAILS)
    import_key = ("symbol",)
    fieldsets = (
        (None, {"fields": ("symbol", ("base_asset", "quote_asset"), "is_active", "timeframes")}),
        ("Orders", {"fields": (("price_precision", "quantity_precision"), ("min_notional", "min_quantity"))}),
        ("Why", {"fields": ("reason",)}),
        ("Origin", {"fields": (("created_at", "updated_at"),)}),
    )
    resource_type = "watched_symbol"

    def resource_id(self, row: WatchedSymbol) -> str:
        return row.symbol

    @admin.display(description="Timeframes")
    def show_timeframes(self, row: WatchedSymbol) -> SafeString:
        return display.text(", ".join(row.timeframes))
