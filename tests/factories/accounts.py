"""People and what is theirs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from accounts.models import AuthIdentity, BotMembership, SavedView, Session, User, VerificationCode
from tests.factories.base import NOON, PASSWORD, create, numbers
from tests.factories.bots import BotFactory


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


def BotMembershipFactory(**columns: Any) -> BotMembership:  # noqa: N802
    """A bot that a trader sees and does not act on."""
    if "bot" not in columns and "bot_id" not in columns:
        columns["bot"] = BotFactory()
    return create(BotMembership, columns, {**own_user(columns)})


def SessionFactory(**columns: Any) -> Session:  # noqa: N802
    """A session of a person that nobody holds the key of."""
    times = {"expire_date": NOON + timedelta(days=3650), "started_at": NOON, "seen_at": NOON}
    return create(
        Session, columns, {"session_key": f"key{next(numbers)}", "session_data": "", **times, **own_user(columns)}
    )
