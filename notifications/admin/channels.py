"""Channels and their limits: set here by admins."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from audit.admin.recorded import RecordedAdmin
from notifications.models import ChannelConfig, RateLimit
from tradingdb.lib.admin import exact_filter

LIMITS = ("rate_limit_per_minute", "max_retries", "timeout_seconds")


@admin.register(ChannelConfig)
class ChannelConfigAdmin(RecordedAdmin):
    list_display = ("channel", "enabled", *LIMITS, "updated_at")
    list_filter = ("enabled",)
    search_fields = ("channel",)
    empty_note = "No channel yet. A message can be queued once its channel is here."
    ordering = ("channel",)
    addable = ("channel", "enabled", "config", *LIMITS)
    editable = ("enabled", "config", *LIMITS, "reason")
    importable = ("channel", "enabled", "config", *LIMITS)
    import_key = ("channel",)
    fieldsets = (
        (
            None,
            {"fields": (("channel", "enabled"), LIMITS, "config", ("created_at", "updated_at"))},
        ),
        ("Why", {"fields": ("reason",)}),
    )
    resource_type = "channel"

    def resource_id(self, row: ChannelConfig) -> str:
        return row.channel

    def update(self, request: HttpRequest, obj: Any, names: Sequence[str], *, reason: str) -> None:
        super().update(request, obj, names, reason=reason)
        ChannelConfig.objects.filter(pk=obj.pk).update(updated_at=timezone.now())


@admin.register(RateLimit)
class RateLimitAdmin(RecordedAdmin):
    list_display = ("user_id", "channel", "tokens", "max_tokens", "refill_rate", "last_refill")
    list_filter = (exact_filter("channel"),)
    search_fields = ("user_id",)
    empty_note = "Made with the first message a recipient gets over a channel."
    ordering = ("user_id", "channel")
    editable = ("max_tokens", "refill_rate", "reason")
    fieldsets = (
        (
            None,
            {"fields": (("user_id", "channel"), ("tokens", "last_refill"), ("max_tokens", "refill_rate"),
                        "created_at")},
        ),
        ("Why", {"fields": ("reason",)}),
    )  # fmt: skip
    resource_type = "rate_limit"

    def resource_id(self, row: RateLimit) -> str:
        return f"{row.user_id}:{row.channel}"
