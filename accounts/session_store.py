"""The session engine: Django's, with the person in a column, an idle time and a longest life."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

STARTED, SEEN, ADDRESS, AGENT = "started_at", "seen_at", "ip_address", "user_agent"
# How long somebody who has not come in yet has for it.
STRANGER = timedelta(hours=1)


def _moment(value: Any) -> datetime | None:
    return (
        datetime.fromtimestamp(value, tz=timezone.get_default_timezone()) if isinstance(value, (int, float)) else None
    )


class SessionStore(DatabaseStore):
    """Keeps sessions in accounts.sessions. What the columns say is in the session itself, and written with it."""

    @classmethod
    def get_model_class(cls) -> Any:
        from accounts.models import Session

        return Session

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return the nearer of the end of the idle time and the end of the longest life."""
        now = timezone.now()
        started, seen = _moment(self.get(STARTED)), _moment(self.get(SEEN))
        if SESSION_KEY not in self or started is None:
            return now + (timedelta(minutes=settings.SESSION_IDLE_MINUTES) if SESSION_KEY in self else STRANGER)
        idle = (seen or started) + timedelta(minutes=settings.SESSION_IDLE_MINUTES)
        return min(idle, started + timedelta(hours=settings.SESSION_HOURS))

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Return the seconds the cookie is kept."""
        return max(0, int((self.get_expiry_date() - timezone.now()).total_seconds()))

    async def aget_expiry_date(self, **kwargs: Any) -> datetime:
        # Reads the session, so that what follows finds it in memory.
        await self.aget(STARTED)
        return self.get_expiry_date()

    async def aget_expiry_age(self, **kwargs: Any) -> int:
        await self.aget(STARTED)
        return self.get_expiry_age()

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        return self._filled(super().create_model_instance(data), data)

    async def acreate_model_instance(self, data: dict[str, Any]) -> Any:
        return self._filled(await super().acreate_model_instance(data), data)

    def _filled(self, row: Any, data: dict[str, Any]) -> Any:
        now = timezone.now()
        row.user_id = data.get(SESSION_KEY)
        row.started_at = _moment(data.get(STARTED)) or now
        row.seen_at = max(_moment(data.get(SEEN)) or row.started_at, row.started_at)
        row.ip_address = data.get(ADDRESS)
        row.user_agent = str(data.get(AGENT) or "")[:300]
        return row
