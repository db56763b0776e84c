"""A person with some of the bots sees nothing of the others: no page, list, export, call or socket names one."""

import re

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from accounts.models import BotMembership, User
from accounts.models.users import OVER_BOTS
from accounts.services.memberships import require_act
from accounts.services.people import person_update
from audit.services.actions import SYSTEM, Actor
from bots.live.viewers import viewer_of
from bots.models import Bot
from tests.access import ways
from tests.factories import BotFactory, UserFactory
from tradingdb.lib.bot_rows import has_bot
from tradingdb.lib.errors import PermissionDenied
from tradingdb.management.model_pages import our_models

# Tables of no bot, whose rows name none: everybody with the role sees them whole.
SHARED = {
    "analytics.dailycandle", "analytics.dailycandlechange", "analytics.dailyohlcv", "analytics.mlmodel",
    "analytics.modelprediction", "analytics.viewrefresh", "audit.seal", "audit.systemhealth", "audit.systemmetric",
    "bots.riskgroup", "bots.strategy",
    "config_app.strategytemplate", "config_app.systemsetting", "config_app.watchedsymbol",
    "marketdata.candle", "marketdata.orderbooksnapshot", "marketdata.technicalindicator",
    "notifications.channelconfig", "notifications.feedback", "notifications.ratelimit",
}  # fmt: skip
# Narrowed by scope and target.
SCOPED = {"bots.controlchange", "bots.controlstate"}
ADMINS_ONLY = {"bots.bottoken", "config_app.exchangeapikey"}


@pytest.fixture
def own(db):
    return BotFactory(bot_id="my_own_bot")


def somebody(role, own, *, may_act=False):
    user = UserFactory(role=role, email=f"some-{role}@example.com", has_all_bots=False)
    BotMembership.objects.create(user=user, bot=own, may_act=may_act)
    browser = Client()
    browser.force_login(user)
    browser.user = user
    return browser


def text_of(answer):
    return (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode(errors="replace")


def test_every_table_is_of_a_bot_or_over_bots_or_shared():
    names = {model._meta.label_lower: model for model in our_models() if model._meta.app_label != "accounts"}
    of_bots = {name for name, model in names.items() if has_bot(model)}

    assert set(names) == of_bots | OVER_BOTS | SHARED | SCOPED | ADMINS_ONLY, "say in OVER_BOTS or here what it is"
    assert not of_bots & (OVER_BOTS | SHARED)


@pytest.mark.parametrize("role", ["viewer", "trader"])
def test_no_list_export_page_or_call_names_a_foreign_bot(role, house, own):
    """`house` has a row of bot_1 in every table there is."""
    browser, foreign = somebody(role, own), re.compile(r"\bbot_1\b")
    leaks, opened = [], 0
    addresses = ["/", "/admin/", "/account/", reverse("admin:bots_controlstate_room")]
    for model in django_admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        addresses.append(reverse(f"{name}_changelist"))
        answer = browser.post(reverse(f"{name}_export"), {"format": "csv"})
        if answer.status_code == 200 and foreign.search(text_of(answer)):
            leaks.append(f"{name} export")
    for address in addresses:
        answer = browser.get(address)
        opened += answer.status_code == 200
        if foreign.search(text_of(answer)):
            leaks.append(address)
    for operation in ways.operations():
        if operation.startswith("GET"):
            answer = browser.get(operation.split(" ")[1].replace("{bot_id}", "bot_1"))
            # An address that was asked for may be named again; anything more may not.
            if foreign.search(text_of(answer)):
                leaks.append(operation)

    assert leaks == []
    assert opened > 30


def test_a_row_of_a_foreign_bot_is_not_there(house, own):
    browser = somebody("trader", own)

    for view, row in (("bots_trade", house.trade), ("bots_position", house.position), ("bots_order", house.order),
                      ("bots_fill", house.fill), ("bots_bot", house.bot), ("bots_signal", house.signal)):  # fmt: skip
        assert browser.get(reverse(f"admin:{view}_change", args=[row.pk])).status_code == 302, view
    assert browser.get(reverse("admin:bots_bot_pause", args=["bot_1"])).status_code == 404
    assert browser.get("/api/v1/bots/bot_1").status_code == 404
    assert browser.get("/api/v1/config?bot_id=bot_1").status_code == 404
    assert browser.get("/api/v1/orders?bot_id=bot_1").json()["items"] == []


@pytest.mark.parametrize("may_act", [True, False])
def test_a_trader_acts_on_bots_given_to_act_on_only(own, may_act):
    browser = somebody("trader", own, may_act=may_act)
    expected = (200, 200) if may_act else (403, 403)
    halt = {"scope": "bot", "target": own.bot_id, "state": "HALTED", "reason": "test"}

    page = browser.get(reverse("admin:bots_bot_pause", args=[own.bot_id]))
    called = browser.patch(f"/api/v1/bots/{own.bot_id}", {"status": "paused"}, content_type="application/json")
    halted = browser.post("/api/v1/control", halt, content_type="application/json")

    assert (page.status_code, called.status_code) == expected
    assert halted.status_code == (200 if may_act else 403)


def test_a_trader_with_some_bots_halts_no_others(own):
    browser = somebody("trader", own, may_act=True)

    for scope, target in (("all", ""), ("symbol", "BTCUSDT"), ("exchange", "binance"), ("bot", BotFactory().bot_id)):
        body = {"scope": scope, "state": "HALTED", "reason": "test"} | ({"target": target} if target else {})
        assert browser.post("/api/v1/control", body, content_type="application/json").status_code == 403, scope
        form = {"scope": scope, "target": target, "state": "HALTED", "reason": "test"}
        page = browser.post(reverse("admin:bots_controlstate_restrict"), form)
        assert page.status_code == 409, scope


def test_a_permission_asked_for_a_row_follows_its_bot(own):
    user = somebody("trader", own).user
    mine, other = Bot(bot_id=own.bot_id), Bot(bot_id="another")

    assert user.has_perm("bots.view_bot", mine)
    assert not user.has_perm("bots.view_bot", other)
    assert user.has_perm("bots.change_trade")
    assert not user.has_perm("bots.change_trade", mine), "seen, not acted on"


def test_admins_have_all_bots_whatever_the_column_says(own):
    assert User(role="admin", has_all_bots=False).visible_bots is None


def test_the_socket_shows_the_bots_of_the_person(own):
    browser = somebody("viewer", own)

    viewer = viewer_of(browser.session.session_key)

    assert viewer is not None
    assert viewer.bots == frozenset({own.bot_id})


def test_taking_all_bots_away_ends_the_sessions(own):
    user = UserFactory(role="trader")
    browser = Client()
    browser.force_login(user)

    person_update(user_id=user.pk, changes={"has_all_bots": False}, actor=SYSTEM)

    assert browser.get("/account/").status_code == 302
    user = User.objects.get(pk=user.pk)
    with pytest.raises(PermissionDenied):
        require_act(Actor(user), own.bot_id)
