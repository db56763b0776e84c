"""Messages that wait to be sent, and what became of each attempt."""

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from notifications.choices import ENDED_STATUSES, TAKEN, DeliveryState, MessageStatus, Priority
from tradingdb.lib.fields import finite_times, one_of

UNLOCKED = Q(locked_by__isnull=True, locked_at__isnull=True)
LOCKED = Q(locked_by__isnull=False, locked_at__isnull=False)


class Message(models.Model):
    """One message to one recipient over one or more channels, from the queue to its end.

    It is locked exactly while it is being sent, and the attempts are counted in the row: a message that cannot be
    delivered ends as failed instead of going round.
    """

    message_type = models.CharField(max_length=50, help_text="For example alert, report, verification.")
    priority = models.CharField(max_length=20, choices=Priority, default=Priority.NORMAL, db_default="normal")
    channels = ArrayField(models.TextField(), help_text="Every channel that has to take it, for example telegram.")
    recipient_id = models.CharField(
        max_length=100, null=True, blank=True, help_text="Whom the channels know by this id; resolved before queueing."
    )
    template_name = models.CharField(max_length=100, null=True, blank=True)
    content = models.JSONField(encoder=DjangoJSONEncoder, help_text="What is said; no secrets.")
    metadata = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    scheduled_for = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="Not sent before, UTC.")
    status = models.CharField(max_length=20, choices=MessageStatus, default=MessageStatus.PENDING, db_default="pending")
    retry_count = models.IntegerField(default=0, db_default=0, help_text="Attempts made again after a failure.")
    max_retries = models.IntegerField(default=3, db_default=3, help_text="Attempts allowed after the first one.")
    last_error = models.TextField(null=True, blank=True)
    processed_at = models.DateTimeField(null=True, blank=True, help_text="End of the last attempt, or of the waiting.")
    locked_by = models.CharField(max_length=100, null=True, blank=True, help_text="Who is sending it.")
    locked_at = models.DateTimeField(null=True, blank=True, help_text="A lock older than 5 minutes is stale.")

    class Meta:
        db_table = "messages"
        ordering = ["-id"]
        constraints = [
            one_of("priority", Priority, name="messages_valid_priority"),
            one_of("status", MessageStatus, name="messages_valid_status"),
            models.CheckConstraint(condition=~Q(message_type=""), name="messages_named"),
            models.CheckConstraint(
                condition=Q(channels__len__gt=0) & ~Q(channels__contains=[""]), name="messages_have_channels"
            ),
            models.CheckConstraint(condition=Q(retry_count__gte=0), name="messages_retry_count_not_negative"),
            models.CheckConstraint(condition=Q(max_retries__gte=0), name="messages_max_retries_not_negative"),
            models.CheckConstraint(condition=Q(retry_count__lte=F("max_retries")), name="messages_retries_have_an_end"),
            models.CheckConstraint(
                condition=(Q(status=MessageStatus.PROCESSING) & LOCKED)
                | (~Q(status=MessageStatus.PROCESSING) & UNLOCKED),
                name="messages_locked_while_processing",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=ENDED_STATUSES) | Q(processed_at__isnull=False),
                name="messages_ended_has_time",
            ),
            finite_times("messages_finite_times", "created_at", "scheduled_for", "processed_at", "locked_at"),
        ]
        indexes = [
            models.Index(fields=["message_type"], name="idx_messages_type"),
            models.Index(fields=["priority"], name="idx_messages_priority"),
            models.Index("recipient_id", F("created_at").desc(), name="idx_messages_recipient"),
            models.Index("status", F("created_at").desc(), name="idx_messages_status"),
            models.Index(F("created_at").desc(), name="idx_messages_created"),
            models.Index(fields=["scheduled_for"], name="idx_messages_scheduled_for"),
            models.Index(fields=["processed_at"], name="idx_messages_processed_at"),
            models.Index(
                fields=["locked_at"], condition=Q(status=MessageStatus.PROCESSING), name="idx_messages_locked"
            ),
            models.Index(
                fields=["status", "scheduled_for", "priority"],
                condition=Q(status=MessageStatus.PENDING),
                name="idx_messages_pending",
            ),
            models.Index(
                fields=["status", "scheduled_for", "locked_by", "locked_at"],
                condition=Q(status=MessageStatus.PENDING),
                name="idx_messages_claim",
            ),
            models.Index(
                fields=["status", "retry_count", "max_retries", "processed_at"],
                condition=Q(status=MessageStatus.FAILED),
                name="idx_messages_failed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message_type} {self.pk} to {self.recipient_id or 'nobody'}"


class DeliveryStatus(models.Model):
    """One attempt to hand a message to one channel, and what became of it."""

    message = models.ForeignKey("notifications.Message", models.PROTECT, related_name="deliveries", db_index=False)
    channel = models.CharField(max_length=50)
    status = models.CharField(max_length=20, choices=DeliveryState, default=DeliveryState.PENDING, db_default="pending")
    delivered_at = models.DateTimeField(null=True, blank=True)
    response_time_ms = models.IntegerField(null=True, blank=True, help_text="How long the channel took to answer.")
    error_message = models.TextField(null=True, blank=True)
    external_id = models.CharField(max_length=255, null=True, blank=True, help_text="The channel's own id of it.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "delivery_status"
        ordering = ["-id"]
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["message", "channel"], condition=Q(status__in=TAKEN), name="delivery_status_taken_once"
            ),
            one_of("status", DeliveryState, name="delivery_status_valid_status"),
            models.CheckConstraint(condition=~Q(channel=""), name="delivery_status_has_channel"),
            models.CheckConstraint(
                condition=~Q(status=DeliveryState.DELIVERED) | Q(delivered_at__isnull=False),
                name="delivery_status_delivered_has_time",
            ),
            models.CheckConstraint(
                condition=Q(response_time_ms__gte=0), name="delivery_status_response_time_not_negative"
            ),
            finite_times("delivery_status_finite_times", "delivered_at", "created_at"),
        ]
        indexes = [
            models.Index(fields=["message", "channel", "status"], name="idx_delivery_message"),
            models.Index(fields=["channel"], name="idx_delivery_channel"),
            models.Index(fields=["status"], name="idx_delivery_status"),
            models.Index(fields=["delivered_at"], name="idx_delivery_delivered_at"),
            models.Index(fields=["external_id"], name="idx_delivery_external_id"),
            models.Index(F("created_at").desc(), name="idx_delivery_created"),
        ]

    def __str__(self) -> str:
        return f"message {self.message_id} over {self.channel}: {self.status}"
