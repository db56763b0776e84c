"""How the parts of the house are."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from audit.choices import HealthStatus
from audit.models import SystemHealth
from audit.services.health import health_overall, status_at
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, LedgerAdmin

TONES = {
    HealthStatus.HEALTHY: "ok",
    HealthStatus.DEGRADED: "warn",
    HealthStatus.DOWN: "bad",
    HealthStatus.UNKNOWN: "neutral",
}


@admin.register(SystemHealth)
class SystemHealthAdmin(LedgerAdmin):
    list_display = (
        "system", "component", "state", "checked_at", "failure_count", "avg_response_time_ms", "last_failure",
        "error_message",
    )  # fmt: skip
    list_filter = (("system", ChoicesFilter), ("status", ChoicesFilter))
    ordering = ("-checked_at",)
    empty_note = "Nothing has been checked yet. A job looks each minute."
    fieldsets = (
        (
            None,
            {"fields": (("system", "component"), ("state", "checked_at"), ("last_success", "last_failure"),
                        ("failure_count", "avg_response_time_ms"), "error_message")},
        ),
        ("Details", {"fields": ("metadata",)}),
    )  # fmt: skip

    @admin.display(description="State")
    def state(self, row: SystemHealth) -> SafeString:
        """The last check, or that it is too old to mean anything."""
        now = timezone.now()
        status = status_at(row, now)
        label = f"unknown for {display.age(now - row.checked_at)}" if status is HealthStatus.UNKNOWN else ""
        return display.badge(status, label=label, tone=TONES[status])

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Say in the title how the house is as a whole."""
        title = f"System health: {health_overall(timezone.now()).value}"
        return super().changelist_view(request, {"title": title, **(extra_context or {})})
