"""Keys to exchanges: that there is one, and what it may do. Key and secret are on no page."""

from django.contrib import admin
from django.utils.safestring import SafeString

from config_app.models import ExchangeApiKey
from tradingdb.lib import display
from tradingdb.lib.admin import ControlModelAdmin


@admin.register(ExchangeApiKey)
class ExchangeApiKeyAdmin(ControlModelAdmin):
    list_display = ("label", "exchange", "is_testnet", "is_active", "show_permissions", "created_at", "last_used_at")
    list_filter = ("exchange", "is_testnet", "is_active")
    search_fields = ("label", "exchange")
    empty_note = "No key yet."
    ordering = ("exchange", "label")
    fieldsets = (
        (
            None,
            {"fields": (("label", "exchange"), ("is_testnet", "is_active"), "show_permissions",
                        ("created_at", "updated_at"), "last_used_at")},
        ),
    )  # fmt: skip

    @admin.display(description="Permissions")
    def show_permissions(self, row: ExchangeApiKey) -> SafeString:
        words = row.permissions
        return display.text(", ".join(map(str, words))) if isinstance(words, list) else display.body(words)
