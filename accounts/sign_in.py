"""What a new session begins with."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts.services.reauthentication import SESSION_KEY
from accounts.session_store import ADDRESS, AGENT, SEEN, STARTED


@receiver(user_logged_in)
def begin(sender: Any, request: HttpRequest, user: Any, **extra: Any) -> None:
    """Note since when and from where; a confirmation from before counts no more."""
    now = timezone.now().timestamp()
    request.session.pop(SESSION_KEY, None)
    request.session[STARTED] = request.session[SEEN] = now
    request.session[ADDRESS] = request.META.get("REMOTE_ADDR") or None
    request.session[AGENT] = request.META.get("HTTP_USER_AGENT", "").replace("\x00", "")[:300]
