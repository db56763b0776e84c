"""Jobs of the notifications app."""

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from notifications.services.queue import messages_remove_old

DATABASE_AWAY = (OperationalError, InterfaceError)


@shared_task(autoretry_for=DATABASE_AWAY, retry_backoff=True, max_retries=5, acks_late=True)
def remove_old_messages() -> int:
    """Remove messages that ended long ago. Tried again while the database is away."""
    return messages_remove_old(now=timezone.now())
