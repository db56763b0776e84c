"""When a token was used last, for people who wonder which ones still are."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from tradingdb.lib.retry import if_there_is_room

USE_INTERVAL = timedelta(minutes=1)


def note_use(token: Any, now: datetime) -> None:
    """Write that a token was used, at most once a minute.

    token: a row with last_used_at, of a bot or of a person.
    """
    if token.last_used_at is not None and token.last_used_at > now - USE_INTERVAL:
        return
    due = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_INTERVAL)
    used = type(token).objects.filter(due, pk=token.pk)
    if_there_is_room(lambda: used.update(last_used_at=now))
