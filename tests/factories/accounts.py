"""People and what is theirs."""

from collections.abc import Mapping
from typing import Any

from accounts.models import AuthIdentity, SavedView, User, VerificationCode
from tests.factories.base import NOON, PASSWORD, create, numbers


def UserFactory(**columns: Any) -> User:  # noqa: N802 (reads as the class it makes, as in the house style)
    """A person, admin by default, who signs in with PASSWORD."""
    columns.setdefault("email", f"person{next(numbers)}@example.com")
    columns.setdefault("role", "admin")
    return User.objects.create_user(columns.pop("email"), columns.pop("password", PASSWORD), **columns)


def AuthIdentityFactory(**columns: Any) -> AuthIdentity:  # noqa: N802
    """A Telegram id of a person made for it."""
    defaults = {"provider": "telegram", "external_id": str(next(numbers)), **own_user(columns)}
    return create(AuthIdentity, columns, defaults)


def VerificationCodeFactory(**columns: Any) -> VerificationCode:  # noqa: N802
    """A code that nobody can know: its digest is of nothing."""
    return create(VerificationCode, columns, {"digest": bytes(32), "sent_time": NOON, **own_user(columns)})


def own_user(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {} if "user" in columns or "user_id" in columns else {"user": UserFactory()}


def SavedViewFactory(**columns: Any) -> SavedView:  # noqa: N802
    """A private view of the trades in BTCUSDT."""
    if "owner" not in columns:
        columns["owner"] = UserFactory()
    return create(
        SavedView, columns, {"page": "bots.trade", "name": f"View {next(numbers)}", "query": "symbol=BTCUSDT"}
    )
