"""Jobs about people."""

from celery import shared_task
from django.utils import timezone

from accounts.models import Session


@shared_task
def remove_ended_sessions() -> int:
    """Delete the rows of sessions that ended by time; they open nothing since. Return how many."""
    deleted, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return deleted
