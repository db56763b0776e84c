"""What django-allauth asks of us: nobody signs up, secrets are encrypted, one confirmation counts everywhere."""

from base64 import b64decode, b64encode
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.services.attempts import Attempt
from accounts.services.factors import named_owner
from accounts.services.reauthentication import is_fresh
from tradingdb.lib import crypto

FACTORS_TABLE = "mfa_authenticator"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types for this
    """Sign-in by address and password; people come in by an admin's hand only."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Check a password; each try is counted before it is looked at. Raises RateLimited."""
        attempt = Attempt(str(credentials.get("email") or ""), request)
        attempt.take()
        user = super().authenticate(request, **credentials)
        if user is not None:
            attempt.succeeded()
        return user

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Ask for what we ask for everywhere, and count it as we do."""
        return not is_fresh(context.request.session, timezone.now())

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        return [{"id": "reauthenticate", "description": "Confirm", "url": reverse("account_reauthenticate")}]

    def get_client_ip(self, request: HttpRequest) -> str:
        return request.META.get("REMOTE_ADDR") or "0.0.0.0"  # noqa: S104 (an address to show, none to listen on)  # nosec B104

    def send_notification_mail(self, *args: Any, **options: Any) -> None:
        """Send nothing: the audit log has the change of a factor, and mail is not set up here."""

    def add_message(self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any,
                    **options: Any) -> None:  # fmt: skip
        """Say what changed; that somebody signed in or out they see for themselves."""
        if level > messages.INFO and not (message_template or "").startswith("account/messages/logged_"):
            super().add_message(request, level, message_template, *args, **options)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types for this
    """Secrets of factors are bound to the person whose they are: moved to another row they do not open."""

    def encrypt(self, text: str) -> str:
        return b64encode(crypto.encrypt(text.encode(), at=self._place())).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(b64decode(encrypted_text), at=self._place()).decode()

    def _place(self) -> crypto.Place:
        owner = named_owner()
        if owner is None:
            owner = context.request.user.pk
        # By the person and not by the row, which is not there yet when its secret is encrypted.
        return crypto.Place(FACTORS_TABLE, owner, "data")
