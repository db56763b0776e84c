"""A login of one bot: its name says whose it is, and nothing that a session sets makes it another."""

import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from psycopg import errors

from audit.models import UserAction
from bots.models import Bot, Fill, Position
from tests.bots.ledger_tools import add_fill, place
from tests.factories import BotFactory

pytestmark = pytest.mark.django_db(transaction=True)
# A bot in a process of its own, by the services.
TRADE = """
import sys, django
django.setup()
from datetime import UTC, datetime
from decimal import Decimal
from bots.ledger.facts import NewFill, NewOrder
from bots.services import order_add_fill, order_place
from tradingdb.lib.errors import NotFound

def trade(bot_id):
    at = datetime(2026, 11, 19, 12, tzinfo=UTC)
    one = dict(order_id="sql-o", quantity=Decimal(1))
    order = dict(symbol="BTCUSDT", side="buy", order_type="market", intent="report", **one)
    fill = dict(fill_id="sql-f", price=Decimal(100), executed_at=at, **one)
    order_place(bot_id=bot_id, order=NewOrder(body={}, **order))
    return order_add_fill(bot_id=bot_id, fill=NewFill(body={}, **fill)).status

print(trade(sys.argv[1]))
try:
    trade(sys.argv[2])
except NotFound:
    print("no such bot")
"""


@pytest.fixture(autouse=True)
def administrator() -> None:
    if not os.environ.get("ADMIN_DATABASE_URL"):
        pytest.fail("these tests make logins: set ADMIN_DATABASE_URL, or let the tests start the embedded server")


@pytest.fixture
def bot() -> Iterator[Bot]:
    # Logins are the server's: other tests run beside this one.
    made = BotFactory(bot_id=f"login-{uuid.uuid4().hex[:12]}", max_positions=100)
    yield made
    with suppress(CommandError):
        call_command("bot_login", made.bot_id, "--drop")


def login_of(bot: Bot) -> str:
    out = io.StringIO()
    call_command("bot_login", bot.bot_id, stdout=out)
    told = json.loads(out.getvalue())
    assert told["bot_id"] == bot.bot_id
    url: str = told["database_url"]
    return url


def ask(session: psycopg.Connection[Any], query: str) -> list[Any]:
    return [row[0] for row in session.execute(query)]


def test_a_login_sees_its_bot_whatever_the_session_claims(bot: Bot) -> None:
    other = BotFactory(account=bot.account, max_positions=100)
    for each in (bot, other):
        place(each, "o", "buy", "1")
        add_fill(each, "f", "o", "100", "1", exchange_trade_id=f"x-{each.bot_id}")

    with psycopg.connect(login_of(bot), autocommit=True) as session:
        assert ask(session, "SELECT bot_id FROM fills") == [bot.bot_id]
        for claim in (
            f"SET app.bot_id = '{other.bot_id}'", f"SET ROLE {settings.BOT_ROLE}", "RESET ROLE",
            "RESET SESSION AUTHORIZATION",
        ):  # fmt: skip
            session.execute(claim)
            assert ask(session, "SELECT DISTINCT bot_id FROM fills") == [bot.bot_id], claim
        assert ask(session, f"SELECT execution_is_known('BTCUSDT', 'x-{other.bot_id}')") == [True]
        for forbidden in (
            "UPDATE fills SET price = 1", "DELETE FROM fills", "SELECT * FROM accounts.users",
            "SET SESSION AUTHORIZATION tradingdb", f"INSERT INTO cash_flows (bot_id) VALUES ('{other.bot_id}')",
        ):  # fmt: skip
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(forbidden)
        bounds = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone")
        assert [ask(session, f"SHOW {name}")[0] for name in bounds] == ["5s", "2s", "10s", "UTC"]


def test_a_bot_trades_by_the_services_under_its_login(bot: Bot) -> None:
    other = BotFactory(max_positions=100)
    environment = os.environ | {"DATABASE_URL": login_of(bot), "BOT_DATABASE_URL": "", "PROCESS_KIND": "command"}
    environment["DJANGO_SETTINGS_MODULE"] = "tradingdb.settings.dev"

    ended = subprocess.run(
        [sys.executable, "-c", TRADE, bot.bot_id, other.bot_id],
        env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.stdout.split("\n")[:2] == ["201", "no such bot"], ended.stderr
    assert list(Fill.objects.values_list("bot_id", "fill_id")) == [(bot.bot_id, "sql-f")]
    assert [(p.bot_id, p.size) for p in Position.objects.open()] == [(bot.bot_id, 1)]


def test_a_login_is_given_anew_and_taken_away(bot: Bot) -> None:
    first, second = login_of(bot), login_of(bot)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(first)
    with psycopg.connect(second) as session:
        call_command("bot_login", bot.bot_id, "--drop", stdout=io.StringIO())
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(second)
    recorded = UserAction.objects.filter(resource_id=bot.bot_id).order_by("id")
    assert [row.action for row in recorded] == ["bot.login_create", "bot.login_create", "bot.login_drop"]
    password = second.split(":")[2].split("@")[0]
    assert all(password not in str(row.__dict__) for row in recorded)


def test_who_has_no_login_hears_so(bot: Bot) -> None:
    with pytest.raises(CommandError, match="no login"):
        call_command("bot_login", bot.bot_id, "--drop")
    with pytest.raises(CommandError, match="No such bot"):
        call_command("bot_login", "nobody")
