"""Models of the notifications app, one module per aggregate."""

from notifications.models.broadcasts import Broadcast
from notifications.models.channels import ChannelConfig, RateLimit
from notifications.models.feedbacks import Feedback
from notifications.models.messages import DeliveryStatus, Message

__all__ = ["Broadcast", "ChannelConfig", "DeliveryStatus", "Feedback", "Message", "RateLimit"]
