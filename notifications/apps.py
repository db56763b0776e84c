"""Messages to people: the queue, what became of each delivery, limits of channels, broadcasts, feedback.

The channels themselves are not here yet: nothing in this app talks to Telegram or sends e-mail. What sends asks the
queue for messages and reports what became of them.
"""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Messages"
