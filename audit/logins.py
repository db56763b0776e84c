"""Logins leave a trace: who came in, and who tried to."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from audit.services.actions import record_action


@receiver(user_logged_in)
def record_login(sender: Any, request: HttpRequest | None, user: Any, **extra: Any) -> None:
    """Keep a good login."""
    record_action(user=user, action="login.succeeded", resource_type="user", resource_id=str(user), request=request)


@receiver(user_login_failed)
def record_failure(
    sender: Any, credentials: Mapping[str, Any], request: HttpRequest | None = None, **extra: Any
) -> None:
    """Keep a failed login, as nobody's action.

    What was typed is kept only where it looks like an address: people type passwords into the wrong field.
    """
    if request is not None and getattr(request, "user", None) is not None and request.user.is_authenticated:
        # Not a login: a person at a session gave the password again, and that service keeps its own row.
        return
    typed = str(credentials.get("username") or credentials.get("email") or "").strip().lower()
    name = typed if "@" in typed else "(no address)"
    name = name.replace("\x00", "")
    record_action(user=None, action="login.failed", resource_type="user", resource_id=name, request=request, name=name)
