"""Second factors: codes of an app and recovery codes, each good once; passkeys are django-allauth's as they are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hmac import compare_digest

from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.utils import decrypt
from django.db import transaction

from accounts.models import User
from accounts.services.sessions import sessions_end
from audit.services.actions import Actor
from tradingdb.lib.errors import NotFound

# Whose secrets are encrypted and decrypted now, where the request does not say it: at sign-in nobody is signed in yet.
_owner: ContextVar[int | None] = ContextVar("owner of factors", default=None)
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


@contextmanager
def factors_of(user_id: int) -> Iterator[None]:
    """Name the person whose secrets are read inside."""
    token = _owner.set(user_id)
    try:
        yield
    finally:
        _owner.reset(token)


def named_owner() -> int | None:
    """Return the person that `factors_of` names."""
    return _owner.get()


def has_factor(user: User) -> bool:
    """Whether the person has an app or a passkey."""
    return bool(Authenticator.objects.filter(user=user, type__in=FACTORS).exists())


def has_passkey(user: User) -> bool:
    """Whether the person has a passkey or security key."""
    return bool(Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN).exists())


def has_app(user: User) -> bool:
    """Whether the person has an app that makes codes."""
    return bool(Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists())


@transaction.atomic
def use_code(*, user: User, code: str) -> Authenticator | None:
    """Return what a code came from, and use it up; None for a wrong, old or used one.

    The steps of an app's codes only go forward and recovery codes are crossed out, under a lock in PostgreSQL: two
    sign-ins with one code are one too many, and Redis may be away.
    """
    given = "".join(code.split()).replace("-", "")
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    held = {row.type: row for row in Authenticator.objects.select_for_update().filter(user=user, type__in=kinds)}
    with factors_of(user.pk):
        app = held.get(Authenticator.Type.TOTP)
        if app is not None and _use_step(app, given):
            return app
        recovery = held.get(Authenticator.Type.RECOVERY_CODES)
        if recovery is not None and recovery.wrap().validate_code(given):
            return recovery
    return None


def _use_step(app: Authenticator, code: str) -> bool:
    secret = decrypt(app.data["secret"])
    now = int(time.time()) // app_settings.TOTP_PERIOD
    used = int(app.data.get("used_step", 0))
    for step in range(now - app_settings.TOTP_TOLERANCE, now + app_settings.TOTP_TOLERANCE + 1):
        if step > used and compare_digest(format_hotp_value(hotp_value(secret, step)).encode(), code.encode()):
            app.data["used_step"] = step
            app.save(update_fields=["data"])
            return True
    return False


@transaction.atomic
def factors_remove(*, user: User, actor: Actor, reason: str = "") -> None:
    """Take all factors of a person away, and end the sessions: for who lost the device."""
    removed = sorted(Authenticator.objects.select_for_update().filter(user=user).values_list("type", flat=True))
    if not removed:
        raise NotFound("This person has no second factor.")
    Authenticator.objects.filter(user=user).delete()
    actor.record("factors.remove", "user", user.email, before={"factors": removed}, reason=reason)
    sessions_end(user=user, actor=actor, reason=reason)
