"""Closed sets of the notifications app: seed 004's words in lower case."""

from django.db import models


class Priority(models.TextChoices):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


# Messages that no rate limit holds back.
UNLIMITED = (Priority.HIGH, Priority.CRITICAL)


class MessageStatus(models.TextChoices):
    """pending → processing → delivered, or back to pending, or failed; cancelled from pending."""

    PENDING = "pending"
    PROCESSING = "processing"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED_STATUSES = (MessageStatus.DELIVERED, MessageStatus.FAILED, MessageStatus.CANCELLED)


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    BOUNCED = "bounced"


# The channel has taken the message: it does not get it again.
TAKEN = (DeliveryState.SENT, DeliveryState.DELIVERED)


class FeedbackType(models.TextChoices):
    FEEDBACK = "feedback"
    FEATURE_REQUEST = "feature_request"


class FeedbackStatus(models.TextChoices):
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    DECLINED = "declined"
