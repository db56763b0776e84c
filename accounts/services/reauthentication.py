"""The fresh proof that it is still the person at a session: a code or passkey where they have one, else the password.

One mechanism for pages and API: the moment is kept in the session, and counts for five minutes.
"""

from datetime import datetime, timedelta

from django.contrib.auth import authenticate
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from accounts.services.attempts import Attempt
from accounts.services.factors import has_factor, use_code
from audit.services.actions import Actor
from tradingdb.lib.errors import PermissionDenied, ReauthenticationRequired

FRESH_FOR = timedelta(minutes=5)
SESSION_KEY = "reauthenticated_at"
FAILURE_ACTION = "reauthentication.failed"

__all__ = [
    "FRESH_FOR",
    "FactorRequired",
    "ReauthenticationRequired",
    "WrongCode",
    "WrongPassword",
    "is_fresh",
    "note_fresh",
    "reauthenticate",
    "require_fresh",
]


class WrongPassword(PermissionDenied):
    """The password does not fit."""

    code = "wrong_password"


class WrongCode(PermissionDenied):
    """The code is wrong, old or used."""

    code = "wrong_code"


class FactorRequired(PermissionDenied):
    """The person has a second factor, so the password alone confirms nothing."""

    code = "second_factor_required"


def reauthenticate(*, user: User, request: HttpRequest, password: str = "", code: str = "") -> datetime:
    """Note in the session that the person proved to be there; return until when that counts.

    Raises WrongPassword, WrongCode, FactorRequired for a password from somebody with a second factor, and RateLimited
    where too many wrong ones came.
    """
    actor = Actor(user, request)
    if has_factor(user) and not code:
        raise FactorRequired("You have a second factor: confirm with a code of your app or with your passkey.")
    attempt = Attempt(user.email, request, kind="confirm")
    attempt.take()
    if code:
        is_right = use_code(user=user, code=code) is not None
    else:
        is_right = authenticate(request, username=user.email, password=password) == user
    if not is_right:
        actor.record(FAILURE_ACTION, "user", user.email)
        raise WrongCode("The code is wrong, too old or used.") if code else WrongPassword("The password is wrong.")
    attempt.succeeded()
    return note_fresh(user, request, method="code" if code else "password")


def note_fresh(user: User, request: HttpRequest, *, method: str) -> datetime:
    """Keep the moment of a proof in the session; return until when it counts."""
    now = timezone.now()
    request.session[SESSION_KEY] = now.timestamp()
    Actor(user, request).record("reauthentication.confirm", "user", user.email, after={"method": method})
    return now + FRESH_FOR


def is_fresh(session: SessionBase, now: datetime) -> bool:
    """Whether the person proved to be there at this session within the last five minutes."""
    confirmed = session.get(SESSION_KEY)
    return isinstance(confirmed, (int, float)) and 0 <= now.timestamp() - confirmed < FRESH_FOR.total_seconds()


def require_fresh(request: HttpRequest, *, keeps_form: bool = False) -> None:
    """Raise ReauthenticationRequired unless the person at the page just proved to be there.

    Pages answer it with the page that asks, and go on from there; with `keeps_form` what was sent is sent again.
    """
    if not is_fresh(request.session, timezone.now()):
        raise ReauthenticationRequired("Confirm that it is you first.", keeps_form=keeps_form)
