"""People at browsers, with second factors."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.test import Client
from django.urls import reverse
from django_redis import get_redis_connection

from accounts.models import User
from accounts.services import attempts
from accounts.services.factors import factors_of
from tests.factories import PASSWORD


@pytest.fixture(autouse=True)
def own_keys(settings: Any) -> Iterator[None]:
    """Give each test buckets of its own."""
    settings.REDIS_PREFIX = f"test-{uuid4().hex}:"
    attempts.LOCAL = attempts.LocalBuckets()
    yield
    client = get_redis_connection("default")
    left = list(client.scan_iter(match=f"{settings.REDIS_PREFIX}*", count=1000))
    if left:
        client.delete(*left)


def code_of(secret: str, steps: int = 0) -> str:
    """Return the code an app shows now, or some steps of 30 s from now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def enrol(user: User) -> str:
    """Give a person an app; return its secret."""
    secret = generate_totp_secret()
    with factors_of(user.pk):
        TOTP.activate(user, secret)
    return secret


def recovery_codes(user: User) -> list[str]:
    """Give a person recovery codes, and return them."""
    with factors_of(user.pk):
        codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    return codes


def sign_in(client: Client, email: str, password: str = PASSWORD, **options: Any) -> Any:
    """Send the form of the sign-in."""
    return client.post(reverse("account_login"), {"login": email, "password": password}, **options)


def is_in(client: Client) -> bool:
    """Whether the browser gets at a page that needs a person."""
    return client.get(reverse("account_home")).status_code == 200


def stored_factor(user: User) -> Authenticator:
    """Return the row of a person's app."""
    return Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP)
