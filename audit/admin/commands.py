"""Commands that people send by chat."""

from django.contrib import admin

from audit.models import CommandAudit
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, exact_filter


@admin.register(CommandAudit)
class CommandAuditAdmin(LedgerAdmin):
    list_display = (
        "created_at", "telegram_user_id", "user_email", "command", "success", "response_time_ms", "error_message"
    )  # fmt: skip
    list_filter = (
        exact_filter("telegram_user_id", "sender"), exact_filter("command"), "success", ("created_at", DayRangeFilter)
    )  # fmt: skip
    ordering = ("-created_at",)
    empty_note = "No command yet. The chat bot and importers bring them."
    fieldsets = (
        (
            None,
            {"fields": (("created_at", "command"), ("telegram_user_id", "user_email"),
                        ("is_registered_user", "success"), "response_time_ms", "full_message", "error_message")},
        ),
        ("Origin", {"fields": ("source",)}),
    )  # fmt: skip
