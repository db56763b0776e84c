"""Sessions of people, and of browsers that are on their way in."""

from typing import ClassVar

from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times, named


class SessionManager(BaseSessionManager):
    """Sessions as Django keeps them."""

    use_in_migrations = False


class Session(AbstractBaseSession):
    """One browser's session: whose it is, from where it came, and until when it is good. Ending it is deleting it."""

    # The key opens the session: it is shown nowhere.
    user = models.ForeignKey(
        "accounts.User", models.CASCADE, null=True, blank=True, related_name="sessions",
        help_text="Empty until the person has proven everything.",
    )  # fmt: skip
    started_at = models.DateTimeField(
        default=timezone.now, db_default=Now(), help_text="Sign-in; the longest life counts from then."
    )
    seen_at = models.DateTimeField(
        default=timezone.now, db_default=Now(), help_text="Last sign of the person, to the minute."
    )
    ip_address = models.GenericIPAddressField(null=True, blank=True, help_text="Where the person signed in from.")
    user_agent = models.CharField(max_length=300, blank=True, default="", db_default="")

    objects: ClassVar[SessionManager] = SessionManager()

    class Meta:
        db_table = "sessions"
        ordering = ["-seen_at"]
        constraints = [
            named("sessions_named", "session_key"),
            models.CheckConstraint(condition=Q(seen_at__gte=F("started_at")), name="sessions_seen_after_start"),
            finite_times("sessions_finite_times", "expire_date", "started_at", "seen_at"),
        ]

    def __str__(self) -> str:
        return f"{self.user or 'nobody'} since {self.started_at:%Y-%m-%d %H:%M:%SZ}"

    @classmethod
    def get_session_store_class(cls) -> type:
        from accounts.session_store import SessionStore

        return SessionStore
