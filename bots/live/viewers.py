"""Who may watch: people with a session, bots with a token."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from accounts.services.factors import has_factor
from bots.models import BotToken


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person behind a socket."""

    session_key: str
    user_id: int
    # The bots the person sees; None is all of them.
    bots: frozenset[str] | None = None


def session_key_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the session key in the cookie header of a handshake."""
    for name, value in headers:
        if name == b"cookie":
            try:
                cookie = SimpleCookie(value.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
            except CookieError:
                return None
            return cookie.value if cookie else None
    return None


def viewer_of(session_key: str | None) -> Viewer | None:
    """Return who a session belongs to; None when it is over, the password changed or the person is disabled."""
    if not session_key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    # Django's own rule: backend, user and session hash must fit.
    user: Any = get_user(request)
    if not isinstance(user, User) or not user.is_active or (settings.MFA_REQUIRED and not has_factor(user)):
        return None
    return Viewer(session_key, user.pk, user.visible_bots)


def as_they_are(viewers: Collection[Viewer]) -> dict[Viewer, Viewer | None]:
    """Return what each of them may see now; None for who may see nothing any more."""
    return {viewer: viewer_of(viewer.session_key) for viewer in viewers}


def usable_prefixes(prefixes: Collection[str], *, now: datetime | None = None) -> set[str]:
    """Return the prefixes of tokens that still open the door."""
    now = now or timezone.now()
    tokens = BotToken.objects.filter(prefix__in=prefixes, revoked_at__isnull=True, expires_at__gt=now)
    return set(tokens.values_list("prefix", flat=True))
