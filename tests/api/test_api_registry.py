"""Bots come in once, with their account and capital; people change them."""

from decimal import Decimal
from typing import Any

import pytest

from audit.models import UserAction
from audit.services.actions import SYSTEM
from bots.models import Bot, CashFlow, ExchangeAccount
from bots.services.registry import bot_register, bot_update
from config_app.models import BotConfiguration
from config_app.services.configurations import configuration_activate
from tests.api.conftest import Caller, bot_caller, session_caller
from tests.factories import PASSWORD, BotFactory, UserFactory
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

NEW: dict[str, Any] = {
    "bot_id": "momentum_001",
    "bot_name": "Momentum",
    "bot_type": "momentum",
    "strategy_name": "Breakout",
    "deployment_mode": "demo",
    "initial_capital": "10000.50",
    "max_positions": 3,
    "leverage_limit": 2,
    "max_daily_loss_pct": "0.03",
}


def test_a_bot_is_registered_with_account_and_capital_exactly_once(admin: Caller):
    first = admin.post("/bots", NEW)
    again = admin.post("/bots", NEW)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again["Idempotent-Replay"] == "true"
    body = first.json()
    assert (body["account_id"], body["initial_capital"], body["currency"]) == ("momentum_001", "10000.5", "USDT")
    assert body["limits"]["max_daily_loss_pct"] == "0.03"
    flow = CashFlow.objects.get()
    assert (flow.kind, flow.amount, flow.bot_id) == ("initial", Decimal("10000.5"), "momentum_001")
    assert ExchangeAccount.objects.count() == 1
    action = UserAction.objects.get(action="bot.register")
    assert (action.resource_id, action.after["initial_capital"]) == ("momentum_001", "10000.5")
    assert action.user is not None
    assert action.request_id


@pytest.fixture
def proven(db: None) -> Caller:
    """An admin at a session who just proved to be there."""
    session = session_caller(UserFactory())
    session.post("/auth/confirm", {"password": PASSWORD})
    return session


@pytest.mark.parametrize(
    "change", [{"initial_capital": "10000"}, {"deployment_mode": "live"}, {"currency": "USDC"}, {"exchange": "binance"}]
)
def test_another_bot_under_the_same_id_is_a_conflict(admin: Caller, change: dict[str, Any]):
    admin.post("/bots", NEW)

    assert admin.post("/bots", {**NEW, **change}).status_code == 409
    assert CashFlow.objects.get().amount == Decimal("10000.5")


def test_two_bots_may_share_an_account_of_one_exchange(admin: Caller):
    admin.post("/bots", {**NEW, "account_id": "main"})

    assert admin.post("/bots", {**NEW, "bot_id": "second", "account_id": "main"}).status_code == 201
    third = admin.post("/bots", {**NEW, "bot_id": "third", "account_id": "main", "exchange": "binance"})
    assert third.status_code == 409
    assert ExchangeAccount.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [{"bot_id": "../etc"}, {"bot_id": "a" * 51}, {"deployment_mode": "real"}, {"initial_capital": "-1"},
     {"leverage_limit": 0}, {"max_positions": "3"}, {"max_daily_loss_pct": "5"}, {"api_key_hash": "x"},
     {"bot_name": ""}],
)  # fmt: skip
def test_a_malformed_registration_is_422(admin: Caller, change: dict[str, Any]):
    assert admin.post("/bots", {**NEW, **change}).status_code == 422
    assert Bot.objects.count() == 0


def test_limits_and_status_are_changed_with_an_audit_row(proven: Caller, bot: Bot):
    response = proven.patch(
        f"/bots/{bot.bot_id}",
        {"max_positions": 20, "max_daily_loss_pct": "0.05", "status": "paused", "reason": "too wild"},
    )

    body = response.json()
    assert response.status_code == 200
    assert (body["status"], body["limits"]["max_positions"], body["limits"]["max_daily_loss_pct"]) == (
        "paused",
        20,
        "0.05",
    )
    action = UserAction.objects.get(action="bot.pause")
    assert action.before == {"max_positions": 10, "max_daily_loss_pct": None, "status": "active"}
    assert action.after == {"max_positions": 20, "max_daily_loss_pct": "0.05", "status": "paused"}
    assert action.reason == "too wild"


def test_null_takes_a_loss_limit_away_and_nothing_else(proven: Caller, bot: Bot):
    Bot.objects.update(max_daily_loss_pct=Decimal("0.05"))

    assert (
        proven.patch(f"/bots/{bot.bot_id}", {"max_daily_loss_pct": None}).json()["limits"]["max_daily_loss_pct"] is None
    )
    for body in ({"max_positions": None}, {"status": None}, {}, {"reason": "none"}, {"initial_capital": "1"}):
        assert proven.patch(f"/bots/{bot.bot_id}", body).status_code == 422


def test_a_change_that_changes_nothing_leaves_no_audit_row(bot: Bot):
    bot_update(bot_id=bot.bot_id, changes={"max_positions": 10}, actor=SYSTEM)

    assert not UserAction.objects.exists()


def test_what_is_fixed_stays_fixed(bot: Bot):
    with pytest.raises(ValidationFailed):
        bot_update(bot_id=bot.bot_id, changes={"initial_capital": Decimal(1)}, actor=SYSTEM)
    with pytest.raises(NotFound):
        bot_update(bot_id="nobody", changes={"max_positions": 1}, actor=SYSTEM)


@pytest.mark.django_db
def test_a_registered_bot_keeps_what_people_changed():
    facts = {**NEW, "initial_capital": Decimal(1)}
    limits = {name: facts.pop(name) for name in ("max_positions", "leverage_limit", "max_daily_loss_pct")}
    bot_register(**facts, max_positions=limits["max_positions"])
    bot_update(bot_id="momentum_001", changes={"max_positions": 9}, actor=SYSTEM)

    bot, is_new = bot_register(**facts, max_positions=limits["max_positions"])

    assert (bot.max_positions, is_new) == (9, False)
    with pytest.raises(Conflict):
        bot_register(**{**facts, "currency": "EUR"})
    with pytest.raises(ValidationFailed):
        bot_register(**{**facts, "bot_id": "x", "deployment_mode": "real"})


def test_tokens_are_made_shown_once_and_revoked(admin: Caller, proven: Caller, bot: Bot):
    assert admin.post(f"/bots/{bot.bot_id}/tokens", {}).json()["code"] == "reauthentication_required"
    made = proven.post(f"/bots/{bot.bot_id}/tokens", {"scopes": ["read"], "days": 7})

    body = made.json()
    assert made.status_code == 201
    assert (body["bot_id"], body["scopes"]) == (bot.bot_id, ["read"])
    assert Caller(body["token"]).get("/me").json()["scopes"] == ["read"]
    assert body["token"] not in admin.get(f"/bots/{bot.bot_id}").content.decode()
    path = f"/bots/{bot.bot_id}/tokens/{body['prefix']}"
    assert [admin.delete(path).status_code for _ in range(2)] == [204, 204]
    assert Caller(body["token"]).get("/me").status_code == 401
    assert admin.delete(f"/bots/{BotFactory().bot_id}/tokens/{body['prefix']}").status_code == 404
    assert UserAction.objects.filter(action="token.revoke").count() == 1


def test_a_third_live_token_is_refused(proven: Caller, bot: Bot):
    bot_caller(bot)
    bot_caller(bot)

    response = proven.post(f"/bots/{bot.bot_id}/tokens", {})

    assert (response.status_code, response.json()["code"]) == (409, "too_many_tokens")


@pytest.mark.django_db
def test_a_configuration_gets_versions_and_one_is_active():
    bot = BotFactory()
    one = {"bot_id": bot.bot_id, "config_key": "risk", "config_type": "risk_params", "actor": SYSTEM}

    first = configuration_activate(**one, value={"a": 1}, reason="start")
    same = configuration_activate(**one, value={"a": 1})
    second = configuration_activate(**one, value={"a": 2})

    assert (first.version, same.pk, second.version) == (1, first.pk, 2)
    first.refresh_from_db()
    assert (first.is_active, first.effective_until) == (False, second.effective_from)
    assert list(BotConfiguration.objects.filter(is_active=True)) == [second]
    actions = UserAction.objects.filter(action="configuration.activate").order_by("id")
    assert [(row.before, row.after["version"]) for row in actions] == [
        (None, 1),
        ({"version": 1, "value": {"a": 1}}, 2),
    ]
    with pytest.raises(ValidationFailed):
        configuration_activate(**{**one, "config_type": "bogus"}, value={})
