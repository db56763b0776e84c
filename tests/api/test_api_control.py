"""Halting and releasing."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.services.tokens import personal_token_create
from audit.models import UserAction
from audit.services.actions import SYSTEM
from bots.models import Bot, ControlState
from bots.services import control
from tests.api.conftest import Caller, session_caller
from tests.factories import PASSWORD, UserFactory

HALT = {"scope": "all", "state": "HALTED", "reason": "exchange is down"}


def test_a_halt_is_stored_with_who_and_why(trader: Caller, committed, monkeypatch):
    sent: list[Any] = []
    monkeypatch.setattr(control, "publish", sent.extend)

    with committed():
        body = trader.post("/control", HALT).json()

    row = ControlState.objects.get()
    assert (row.scope, row.target, row.state, row.version, row.reason) == ("all", "", "HALTED", 1, "exchange is down")
    assert (body["scope"], body["target"], body["state"], body["version"]) == ("all", "", "HALTED", 1)
    assert (body["reason"], body["changed_by_name"]) == ("exchange is down", row.changed_by.email)
    assert [(update["kind"], update["bot_id"], update["data"]) for update in sent] == [("halt", "", body)]
    action = UserAction.objects.get(action="control.halted")
    assert (action.resource_id, action.before, action.reason) == ("all:", None, "exchange is down")
    assert action.user == row.changed_by


def test_every_change_has_a_higher_version(trader: Caller, bot: Bot):
    one = {"scope": "bot", "target": bot.bot_id}

    versions = [
        trader.post("/control", {**one, "state": state, "reason": "test"}).json()["version"]
        for state in ("REDUCING", "REDUCING", "HALTED", "HALTED")
    ]

    assert versions == [1, 2, 3, 4]
    last = UserAction.objects.filter(action="control.halted").order_by("id").first()
    assert (last.before["state"], last.after["state"]) == ("REDUCING", "HALTED")


def test_a_trader_halts_and_an_admin_releases_after_confirming(trader: Caller):
    trader.post("/control", HALT)
    admin = session_caller(UserFactory())
    admin.post("/auth/confirm", {"password": PASSWORD})
    release = {"scope": "all", "state": "ACTIVE", "reason": "exchange is back"}

    assert trader.post("/control", release).status_code == 403
    body = admin.post("/control", release).json()

    assert (body["state"], body["version"], body["reason"]) == ("ACTIVE", 2, "exchange is back")
    assert UserAction.objects.get(action="control.release").before["state"] == "HALTED"


@pytest.mark.django_db
def test_with_the_setting_a_second_person_releases(settings):
    settings.RELEASE_NEEDS_SECOND_PERSON = True
    first, second = session_caller(UserFactory()), session_caller(UserFactory())
    release = {"scope": "all", "state": "ACTIVE", "reason": "done"}
    for admin in (first, second):
        admin.post("/auth/confirm", {"password": PASSWORD})
    first.post("/control", HALT)

    refused = first.post("/control", release)

    assert (refused.status_code, refused.json()["code"]) == (403, "second_person_required")
    assert ControlState.objects.get().state == "HALTED"
    assert second.post("/control", release).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "all", "state": "HALTED"},
        {"scope": "all", "state": "HALTED", "reason": ""},
        {"scope": "all", "state": "HALTED", "reason": " \n"},
        {"scope": "all", "state": "HALTED", "reason": None},
        {"scope": "all", "target": "x", "state": "HALTED", "reason": "x"},
        {"scope": "bot", "state": "HALTED", "reason": "x"},
        {"scope": "world", "state": "HALTED", "reason": "x"},
        {"scope": "all", "state": "halted", "reason": "x"},
        {**HALT, "version": 7},
    ],
)
def test_a_malformed_order_to_halt_is_422(trader: Caller, body: dict[str, Any]):
    assert trader.post("/control", body).status_code == 422
    assert ControlState.objects.count() == 0


def test_symbols_and_exchanges_can_be_halted_and_unknown_bots_cannot(trader: Caller, bot: Bot):
    for scope, target in (("symbol", "BTCUSDT"), ("exchange", "bybit"), ("bot", bot.bot_id)):
        assert (
            trader.post("/control", {"scope": scope, "target": target, "state": "HALTED", "reason": "x"}).status_code
            == 200
        )

    unknown = trader.post("/control", {"scope": "bot", "target": "nobody", "state": "HALTED", "reason": "x"})

    assert unknown.status_code == 404
    assert ControlState.objects.count() == 3


def test_roles_of_the_control(viewer: Caller, trader: Caller, api: Caller):
    assert [caller.post("/control", HALT).status_code for caller in (viewer, api, trader)] == [403, 403, 200]


def test_what_is_in_force_with_its_proof_and_its_bots(viewer: Caller, trader: Caller, api: Caller, bot: Bot):
    number = trader.post("/control", HALT).json()["id"]
    told = api.post("/heartbeat", {}).json()
    api.post("/heartbeat", {"acknowledged_halt": told["halt"]["id"]})

    (item,) = viewer.get("/control").json()["items"]
    (change,) = viewer.get("/control/changes").json()["items"]

    assert (item["id"], item["orders_accepted_since"], change["id"]) == (number, 0, number)
    (mine,) = [one for one in item["bots"] if one["bot_id"] == bot.bot_id]
    assert (mine["stage"], mine["told_by"], mine["has_open_orders"]) == ("done", "heartbeat", False)
    assert mine["requested_at"] <= mine["received_at"] <= mine["done_at"]
    assert (change["state"], change["previous_state"], change["reason"]) == ("HALTED", "ACTIVE", HALT["reason"])
    assert [api.get(path).status_code for path in ("/control", "/control/changes")] == [403, 403]


@pytest.mark.parametrize("state", ["ACTIVE", "REDUCING"])
@pytest.mark.parametrize("who", ["trader", "token", "unconfirmed"])
def test_who_may_not_lift_a_halt(trader: Caller, who: str, state: str):
    trader.post("/control", HALT)
    admin = UserFactory()
    callers = {"trader": trader, "unconfirmed": session_caller(admin)}
    if who == "token":
        secret = personal_token_create(user=admin, name="t", actor=SYSTEM).token
        callers["token"] = Caller(secret)

    answer = callers[who].post("/control", {"scope": "all", "state": state, "reason": "please"})

    assert answer.status_code == 403
    assert ControlState.objects.get().state == "HALTED"


def test_a_release_needs_a_reason(trader: Caller):
    trader.post("/control", HALT)
    admin = session_caller(UserFactory())
    admin.post("/auth/confirm", {"password": PASSWORD})

    assert admin.post("/control", {"scope": "all", "state": "ACTIVE", "reason": " "}).status_code == 422
    assert ControlState.objects.get().state == "HALTED"


def test_an_old_confirmation_releases_nothing(trader: Caller):
    trader.post("/control", HALT)
    admin = session_caller(UserFactory())
    admin.post("/auth/confirm", {"password": PASSWORD})

    with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=True):
        answer = admin.post("/control", {"scope": "all", "state": "ACTIVE", "reason": "late"})

    assert answer.status_code == 403
    assert ControlState.objects.get().state == "HALTED"
