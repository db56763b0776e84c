"""The rows that the live benchmark needs in PostgreSQL, and their removal."""

import os
from types import TracebackType
from typing import Any, Self
from uuid import uuid4


class BenchRows:
    """A person with a session, bots and their open positions, for the time of a `with` block.

    With one bot each position has a symbol of its own, with many bots all hold the same one. The processes of the
    benchmark get a Redis prefix of their own through the environment.
    """

    def __init__(self, *, positions: int, bots: int = 1) -> None:
        self._name = f"bench-{uuid4().hex[:12]}"
        self._positions, self._bots = positions, bots
        self.next_version = 2
        self.cookie = ""
        self.positions: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        from bots.ledger.shapes import POSITION, shape
        from bots.models import Bot, ExchangeAccount, Position

        os.environ["REDIS_PREFIX"] = f"{self._name}:"
        self._sign_in()
        account = ExchangeAccount.objects.create(account_id=self._name)
        common: dict[str, Any] = {"bot_name": "bench", "bot_type": "custom", "strategy_name": "bench"}
        common |= {"deployment_mode": "demo", "initial_capital": 1, "account": account}
        Bot.objects.bulk_create(Bot(bot_id=f"{self._name}-{number}", **common) for number in range(self._bots))
        Position.objects.bulk_create(self._position(number) for number in range(self._positions))
        rows = Position.objects.filter(position_id__startswith=self._name).values(*POSITION)
        self.positions = [shape(stored, POSITION) for stored in rows]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from django.contrib.sessions.models import Session

        from accounts.models import User
        from bots.live.client import sync_client
        from bots.models import Bot, ExchangeAccount, Position

        del os.environ["REDIS_PREFIX"]
        Position.objects.filter(position_id__startswith=self._name).delete()
        Bot.objects.filter(bot_id__startswith=self._name).delete()
        ExchangeAccount.objects.filter(account_id=self._name).delete()
        Session.objects.filter(session_key=self.cookie.partition("=")[2]).delete()
        User.objects.filter(email__startswith=self._name).delete()
        for key in sync_client().scan_iter(match=f"{self._name}:*", count=1000):
            sync_client().delete(key)

    def _position(self, number: int) -> Any:
        from bots.models import Position

        return Position(
            position_id=f"{self._name}-{number}",
            bot_id=f"{self._name}-{number % self._bots}",
            symbol="BENCHUSDT" if self._bots > 1 else f"BENCH{number}USDT",
            side="long" if number % 2 else "short",
            size="0.5", quantity="0.5", avg_entry_price="25000.5", cost_basis="12500.25", current_price="25001",
        )  # fmt: skip

    def _sign_in(self) -> None:
        from django.conf import settings
        from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

        from accounts.models import User
        from accounts.session_store import SessionStore

        user = User.objects.create_user(f"{self._name}@example.com", role="viewer")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        self.cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
