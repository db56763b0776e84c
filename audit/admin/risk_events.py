"""Breaches of limits, and the button that closes one."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.admin.events import BOT_ID_FILTER, bot_reference, row_reference
from audit.models import RiskEvent
from audit.services.actions import Actor
from audit.services.risk_events import risk_event_resolve
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, exact_filter
from tradingdb.lib.asking import asking


class ResolveForm(forms.Form):
    """What was done about it."""

    notes = forms.CharField(
        max_length=1000, widget=forms.Textarea(attrs={"rows": 3}), help_text="What was done about it."
    )


@admin.register(RiskEvent)
class RiskEventAdmin(LedgerAdmin):
    list_display = (
        "event_time", "show_bot_id", "risk_type", "show_level", "subject", "symbol", "current_value", "limit_value",
        "threshold_pct", "action_taken", "seen_count", "state",
    )  # fmt: skip
    list_filter = (
        BOT_ID_FILTER, ("risk_type", ChoicesFilter), ("level", ChoicesFilter), "is_over", "resolved",
        exact_filter("subject"), exact_filter("symbol"), ("event_time", DayRangeFilter),
    )  # fmt: skip
    ordering = ("-event_time",)
    empty_note = "No limit was ever broken."
    fieldsets = (
        (
            None,
            {"fields": (("event_time", "state"), ("show_bot_id", "symbol"), ("risk_type", "action_taken"),
                        ("show_order_id", "threshold_pct"), ("current_value", "limit_value"),
                        ("show_level", "subject"), ("is_over", "limit_id"), ("seen_count", "last_seen_at"),
                        ("positions_affected", "trades_cancelled"))},
        ),
        ("Details", {"fields": ("details",)}),
        ("Closing", {"fields": (("resolved_at", "closed_by"), "resolution_notes")}),
    )  # fmt: skip
    resource_type = "risk_event"
    actions_detail = ("resolve",)

    @admin.display(description="Bot")
    def show_bot_id(self, event: RiskEvent) -> SafeString:
        return display.text("several") if event.bot_id == "*" else bot_reference(event.bot_id)

    @admin.display(description="Level")
    def show_level(self, event: RiskEvent) -> SafeString:
        return display.badge(event.level, tone={"breach": "bad", "warning": "warn"}.get(event.level, "neutral"))

    @admin.display(description="Order")
    def show_order_id(self, event: RiskEvent) -> SafeString:
        return row_reference("order", event.bot_id, event.order_id)

    @admin.display(description="State")
    def state(self, event: RiskEvent) -> SafeString:
        return display.badge("resolved") if event.resolved else display.badge("open", tone="bad")

    @admin.display(description="Closed by")
    def closed_by(self, event: RiskEvent) -> SafeString:
        return display.text(event.resolved_by)

    def is_offered(self, name: str, row: RiskEvent) -> bool:
        return not row.resolved

    @asking(label="Close", permission="intervene", icon="task_alt", form_class=ResolveForm)
    def resolve(self, request: HttpRequest, row: RiskEvent, data: dict[str, Any]) -> str:
        """The event stays, with your words. Limits and halts stay as they are."""
        risk_event_resolve(event_id=row.pk, notes=data["notes"], actor=Actor(request.user, request))
        return "The risk event is closed."
