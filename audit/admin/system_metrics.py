"""Load of the machines."""

from django.contrib import admin

from audit.models import SystemMetric
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, exact_filter


@admin.register(SystemMetric)
class SystemMetricAdmin(LedgerAdmin):
    list_display = (
        "timestamp", "host", "cpu_usage", "memory_usage", "disk_usage", "execution_latency", "api_request_count",
        "api_error_count",
    )  # fmt: skip
    list_filter = (exact_filter("host"), ("timestamp", DayRangeFilter))
    ordering = ("-timestamp",)
    empty_note = "No reading yet. A job makes one each minute."
    fieldsets = (
        (
            None,
            {"fields": (("timestamp", "host"), ("cpu_usage", "memory_usage"), ("disk_usage", "execution_latency"),
                        ("network_sent_bytes", "network_received_bytes"), ("api_request_count", "api_error_count"))},
        ),
        ("Origin", {"fields": ("created_at",)}),
    )  # fmt: skip
