"""Runs of the invariants: what was looked at, what was red and since when."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from audit.models import InvariantRun
from audit.services.invariant_runs import ledger_state
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin


def red_names(run: InvariantRun) -> SafeString:
    """Return each broken invariant, since when, and how many rows break it."""
    lines = []
    for name, since in sorted(run.red_since.items()):
        lines.append((name, run.counts.get(name, 0), display.moment(datetime.fromisoformat(since))))
    return format_html_join(SafeString("<br>"), "{} ({}) since {}", lines) or display.UNKNOWN


@admin.register(InvariantRun)
class InvariantRunAdmin(LedgerAdmin):
    list_display = ("at", "state", "kind", "duration_ms", "red", "replay_differences", "version")
    list_filter = ("ok", ("kind", ChoicesFilter), ("at", DayRangeFilter))
    ordering = ("-at",)
    empty_note = "No run yet. A job makes one each minute; manage.py verify_ledger makes one now."
    fieldsets = (
        (
            None,
            {"fields": (("at", "state"), ("kind", "duration_ms"), "red", "replay_differences", "version")},
        ),
        ("Rows that break them", {"fields": ("found",)}),
        ("Rows by invariant", {"fields": ("counts",)}),
    )  # fmt: skip

    @admin.display(description="State")
    def state(self, run: InvariantRun) -> SafeString:
        return display.badge("well" if run.ok else "red", tone="ok" if run.ok else "bad")

    @admin.display(description="Red since")
    def red(self, run: InvariantRun) -> SafeString:
        return red_names(run)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Say in the title how the ledger is now."""
        title = f"Invariants: {ledger_state(timezone.now()).note}"
        return super().changelist_view(request, {"title": title, **(extra_context or {})})
