"""What the processes log."""

from django.contrib import admin
from django.utils.safestring import SafeString

from audit.models import SystemLog
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, exact_filter


@admin.register(SystemLog)
class SystemLogAdmin(LedgerAdmin):
    list_display = ("timestamp", "level", "component", "message")
    list_filter = (("level", ChoicesFilter), exact_filter("component"), ("timestamp", DayRangeFilter))
    ordering = ("-timestamp",)
    empty_note = "No warning yet. What web server, worker and beat log at WARNING and above comes here."
    fieldsets = (
        (None, {"fields": (("timestamp", "level"), "component", "show_message")}),
        ("Details", {"fields": ("place", "show_traceback")}),
        ("Origin", {"fields": ("created_at",)}),
    )

    @admin.display(description="Message")
    def show_message(self, row: SystemLog) -> SafeString:
        return display.text(row.message)

    @admin.display(description="Where")
    def place(self, row: SystemLog) -> SafeString:
        rest = {name: value for name, value in (row.details or {}).items() if name != "traceback"}
        return display.body(rest)

    @admin.display(description="Traceback")
    def show_traceback(self, row: SystemLog) -> SafeString:
        return display.block((row.details or {}).get("traceback"))
