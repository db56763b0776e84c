"""Feedback of people: given here, and followed to its end."""

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from notifications.models import Feedback
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter


@admin.register(Feedback)
class FeedbackAdmin(RecordedAdmin):
    list_display = ("created_at", "type", "show_user", "message", "status")
    list_filter = (("status", ChoicesFilter), ("type", ChoicesFilter), ("created_at", DayRangeFilter))
    list_select_related = ("user",)
    empty_note = "Nobody has said anything yet. Add what you miss."
    ordering = ("-created_at", "-id")
    addable = ("type", "message")
    editable = ("status", "reason")
    fieldsets = (
        (
            None,
            {"fields": (("created_at", "show_user"), ("type", "status"), "message")},
        ),
        ("Why", {"fields": ("reason",)}),
    )
    resource_type = "feedback"

    @admin.display(description="From")
    def show_user(self, row: Feedback) -> SafeString:
        return display.text(row.user)

    def create(self, request: HttpRequest, obj: Any, form: ModelForm) -> None:
        """What a person adds here is that person's own."""
        obj.user = request.user
        super().create(request, obj, form)
