"""The admin of messages."""

from notifications.admin import channels, feedbacks, messages

__all__ = ["channels", "feedbacks", "messages"]
