"""The fresh proof that a person at a session is still the person: the password, again."""

from datetime import datetime, timedelta

from django.contrib.auth import authenticate
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from audit.models import UserAction
from audit.services.actions import Actor
from tradingdb.lib.errors import PermissionDenied, RateLimited

FRESH_FOR = timedelta(minutes=5)
SESSION_KEY = "reauthenticated_at"
FAILURE_ACTION = "reauthentication.failed"
MAX_FAILURES = 5
FAILURE_WINDOW = timedelta(minutes=15)


class ReauthenticationRequired(PermissionDenied):
    """The call needs a password confirmed within the last five minutes; a personal token never is."""

    code = "reauthentication_required"


class WrongPassword(PermissionDenied):
    """The password does not fit."""

    code = "wrong_password"


def reauthenticate(*, user: User, password: str, request: HttpRequest) -> datetime:
    """Note in the session that the person gave the password; return until when that counts.

    Raises WrongPassword, and RateLimited after five wrong ones in a quarter of an hour.
    """
    now = timezone.now()
    failures = UserAction.objects.filter(user=user, action=FAILURE_ACTION, created_at__gt=now - FAILURE_WINDOW)
    if failures.count() >= MAX_FAILURES:
        raise RateLimited("Too many wrong passwords.", retry_after=int(FAILURE_WINDOW.total_seconds()))
    actor = Actor(user, request)
    if authenticate(request, username=user.email, password=password) != user:
        actor.record(FAILURE_ACTION, "user", user.email)
        raise WrongPassword("The password is wrong.")
    request.session[SESSION_KEY] = now.timestamp()
    actor.record("reauthentication.confirm", "user", user.email)
    return now + FRESH_FOR


def is_fresh(session: SessionBase, now: datetime) -> bool:
    """Whether the password was confirmed at this session within the last five minutes."""
    confirmed = session.get(SESSION_KEY)
    return isinstance(confirmed, (int, float)) and 0 <= now.timestamp() - confirmed < FRESH_FOR.total_seconds()
