"""Channels, messages and what people write back."""

from typing import Any

from notifications.models import Broadcast, ChannelConfig, DeliveryStatus, Feedback, Message, RateLimit
from tests.factories.base import NOON, create, numbers


def ChannelConfigFactory(**columns: Any) -> ChannelConfig:  # noqa: N802
    """A channel that is in use."""
    return create(ChannelConfig, columns, {"channel": f"channel_{next(numbers)}"})


def MessageFactory(**columns: Any) -> Message:  # noqa: N802
    """A message over telegram that is due since NOON."""
    defaults = {
        "message_type": "alert",
        "recipient_id": "chat_1",
        "channels": ["telegram"],
        "content": {"text": "It broke."},
        "created_at": NOON,
        "scheduled_for": NOON,
    }
    return create(Message, columns, defaults)


def DeliveryStatusFactory(**columns: Any) -> DeliveryStatus:  # noqa: N802
    """An attempt over telegram that failed, of a message made for it unless `message` is given."""
    defaults = {"channel": "telegram", "status": "failed", "error_message": "no answer", "created_at": NOON}
    if "message" not in columns:
        defaults["message"] = MessageFactory()
    return create(DeliveryStatus, columns, defaults)


def RateLimitFactory(**columns: Any) -> RateLimit:  # noqa: N802
    """A full bucket of 30 that gets 30 tokens a minute."""
    defaults = {
        "user_id": f"chat_{next(numbers)}",
        "channel": "telegram",
        "tokens": 30,
        "max_tokens": 30,
        "refill_rate": 30,
        "last_refill": NOON,
    }
    return create(RateLimit, columns, defaults)


def BroadcastFactory(**columns: Any) -> Broadcast:  # noqa: N802
    """A broadcast that reached 8 of 10."""
    defaults = {"message": "We are back.", "sent_by": "admin@example.com", "success_count": 8, "total_count": 10}
    return create(Broadcast, columns, {**defaults, "created_at": NOON})


def FeedbackFactory(**columns: Any) -> Feedback:  # noqa: N802
    """Open feedback of nobody in particular."""
    return create(Feedback, columns, {"message": "More charts.", "created_at": NOON})
