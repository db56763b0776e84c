"""Messages with their deliveries, and broadcasts: written by senders, read here."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from notifications.choices import MessageStatus
from notifications.models import Broadcast, DeliveryStatus, Message
from notifications.services.queue import message_cancel
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, exact_filter
from tradingdb.lib.asking import asking
from tradingdb.lib.sections import Section, table

DELIVERY_COLUMNS = ("created_at", "channel", "status", "response_time_ms", "delivered_at", "external_id")


@admin.register(Message)
class MessageAdmin(LedgerAdmin):
    list_display = (
        "created_at", "message_type", "priority", "recipient_id", "channels", "status", "retry_count",
        "scheduled_for", "processed_at",
    )  # fmt: skip
    list_filter = (
        ("status", ChoicesFilter), ("priority", ChoicesFilter), exact_filter("message_type", "kind"),
        ("created_at", DayRangeFilter),
    )  # fmt: skip
    ordering = ("-created_at",)
    search_exact = ("recipient_id",)
    search_help_text = "Whole id of the recipient"
    empty_note = "No message was queued yet."
    fieldsets = (
        (
            None,
            {"fields": (("message_type", "priority"), ("recipient_id", "channels"), ("status", "scheduled_for"),
                        ("retry_count", "max_retries"), ("created_at", "processed_at"), ("locked_by", "locked_at"),
                        "last_error")},
        ),
        ("Content", {"fields": ("template_name", "content", "metadata")}),
    )  # fmt: skip
    resource_type = "message"
    actions_detail = ("cancel",)

    def is_offered(self, name: str, row: Message) -> bool:
        return row.status == MessageStatus.PENDING

    @asking(label="Cancel", permission="intervene", icon="cancel_schedule_send", is_grave=True)
    def cancel(self, request: HttpRequest, row: Message, data: dict[str, Any]) -> str:
        """The message leaves the queue and is not sent. What a channel has taken already cannot be called back."""
        message_cancel(message_id=row.pk, actor=Actor(request.user, request), reason=data["reason"])
        return "The message is cancelled."

    def sections(self, request: HttpRequest, row: Message) -> list[Section]:
        return [
            table(self.admin_site, "Deliveries", row.deliveries.order_by("-id"), DELIVERY_COLUMNS,
                  empty="No channel was asked yet."),
        ]  # fmt: skip


@admin.register(DeliveryStatus)
class DeliveryStatusAdmin(LedgerAdmin):
    list_display = ("created_at", "show_message", *DELIVERY_COLUMNS[1:])
    list_filter = (exact_filter("channel"), ("status", ChoicesFilter), ("created_at", DayRangeFilter))
    list_select_related = ("message",)
    ordering = ("-created_at",)
    search_exact = ("external_id",)
    search_help_text = "Whole id that the channel gave"
    empty_note = "No message was sent yet."
    fieldsets = (
        (
            None,
            {"fields": (("show_message", "channel"), ("status", "response_time_ms"), ("created_at", "delivered_at"),
                        "external_id", "error_message")},
        ),
    )  # fmt: skip

    @admin.display(description="Message")
    def show_message(self, row: DeliveryStatus) -> SafeString:
        return display.link(row.message, "notifications_message_change", row.message_id)


@admin.register(Broadcast)
class BroadcastAdmin(LedgerAdmin):
    list_display = ("created_at", "sent_by", "message", "success_count", "num_failed", "total_count")
    list_filter = (("created_at", DayRangeFilter),)
    ordering = ("-created_at",)
    empty_note = "Nothing was sent to everybody yet."
    fieldsets = (
        (
            None,
            {"fields": (("created_at", "sent_by"), ("success_count", "total_count"), "num_failed", "message")},
        ),
    )

    @admin.display(description="Failed")
    def num_failed(self, row: Broadcast) -> SafeString:
        return display.number(row.failed_count)
