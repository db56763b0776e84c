"""Callers of the API: a bot with its token, people of each role by token and by session."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from accounts.services.tokens import personal_token_create
from audit.services.actions import SYSTEM
from bots.models import Bot
from bots.services.tokens import token_create
from tests.factories import BotFactory, UserFactory

BASE = "/api/v1"


class Caller:
    """Sends requests with one set of credentials; `token` None is a stranger."""

    def __init__(self, token: str | None = None, client: Client | None = None) -> None:
        self.client = client or Client()
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.client.get(BASE + path, query, headers=self.headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        content = body if isinstance(body, (bytes, str)) else json.dumps(body)
        content_type = headers.pop("content_type", "application/json")
        return self.client.generic(method, BASE + path, content, content_type, headers={**self.headers, **headers})

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str) -> HttpResponse:
        return self.client.delete(BASE + path, headers=self.headers)


def bot_caller(bot: Bot, *scopes: str) -> Caller:
    """A caller with a new token of the bot."""
    return Caller(token_create(bot_id=bot.bot_id, scopes=scopes or None, actor=SYSTEM).token)


def staff_caller(role: str, user: User | None = None) -> Caller:
    """A caller with a personal token of a person of this role."""
    user = user or UserFactory(role=role)
    return Caller(personal_token_create(user=user, name="test", actor=SYSTEM).token)


def session_caller(user: User, *, csrf: bool = True) -> Caller:
    """A signed-in browser; with `csrf` it sends the token that a page would have given it."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    caller = Caller(client=client)
    if csrf:
        client.cookies["csrftoken"] = "a" * 32
        caller.headers["X-CSRFToken"] = "a" * 32
    return caller


@pytest.fixture(autouse=True)
def own_keys(settings: Any) -> None:
    """Give each test its own keys in Redis: names of bots, and so their rate limits, come again with every run."""
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"


@pytest.fixture
def bot(db: None) -> Bot:
    return BotFactory()


@pytest.fixture
def api(bot: Bot) -> Caller:
    """The bot, by a token with every scope."""
    return bot_caller(bot)


@pytest.fixture
def admin(db: None) -> Caller:
    return staff_caller("admin")


@pytest.fixture
def trader(db: None) -> Caller:
    return staff_caller("trader")


@pytest.fixture
def viewer(db: None) -> Caller:
    return staff_caller("viewer")


@pytest.fixture
def committed(django_capture_on_commit_callbacks: Any) -> Callable[[], Any]:
    """Run what was registered for after the commit, as a real commit would."""
    return lambda: django_capture_on_commit_callbacks(execute=True)
