"""What staff may do to settings, symbols and templates."""

import pytest

from audit.models import UserAction
from audit.services.actions import SYSTEM
from config_app.models import StrategyTemplate, SystemSetting, WatchedSymbol
from config_app.services.settings import setting_create, setting_update
from tests.factories import (
    StrategyTemplateFactory,
    SystemSettingFactory,
    UserFactory,
    WatchedSymbolFactory,
)
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

pytestmark = pytest.mark.django_db

BASE = "/admin/config_app"
SYMBOL = {
    "symbol": "BTCUSDT", "base_asset": "BTC", "quote_asset": "USDT", "timeframes": '["1m"]', "price_precision": "2",
    "quantity_precision": "3", "min_notional": "5", "min_quantity": "0.001",
}  # fmt: skip
TEMPLATE = {"name": "Mine", "description": "", "template_data": '{"fast": 9}'}


@pytest.fixture
def sign_in(client):
    def person(role):
        user = UserFactory(role=role)
        client.force_login(user)
        return user

    return person


def action(name):
    return UserAction.objects.get(action=name)


# --- settings


def test_a_setting_is_made_and_changed_with_a_trace(client, sign_in):
    admin = sign_in("admin")
    client.post(f"{BASE}/systemsetting/add/", {"key": "report.hour", "value": "7", "description": "UTC"})
    row = SystemSetting.objects.get()
    form = {"value": '{"hour": 8}', "description": "UTC", "reason": "earlier"}

    client.post(f"{BASE}/systemsetting/{row.pk}/change/", form)

    row.refresh_from_db()
    assert (row.key, row.value, row.updated_by) == ("report.hour", {"hour": 8}, admin.email)
    made, changed = action("setting.create"), action("setting.update")
    assert (made.resource_id, made.after) == ("report.hour", {"value": 7, "description": "UTC"})
    assert (changed.before["value"], changed.after["value"], changed.reason) == (7, {"hour": 8}, "earlier")
    assert changed.user == admin


@pytest.mark.parametrize("role", ["trader", "viewer"])
def test_others_read_settings_and_change_none(client, sign_in, role):
    row = SystemSettingFactory(value=7)
    sign_in(role)

    assert client.get(f"{BASE}/systemsetting/{row.pk}/change/").status_code == 200
    assert client.post(f"{BASE}/systemsetting/{row.pk}/change/", {"value": "8", "reason": "x"}).status_code == 403
    assert client.post(f"{BASE}/systemsetting/add/", {"key": "a", "value": "8"}).status_code == 403
    assert list(SystemSetting.objects.values_list("value", flat=True)) == [7]


def test_the_same_value_again_changes_nothing():
    row = setting_create(key="a", value={"x": 1}, actor=SYSTEM)

    again = setting_update(key="a", value={"x": 1}, actor=SYSTEM)

    assert again.updated_at == row.updated_at
    assert not UserAction.objects.filter(action="setting.update").exists()


@pytest.mark.parametrize(("key", "error"), [("a", Conflict), ("not a key", ValidationFailed), ("", ValidationFailed)])
def test_a_key_that_is_taken_or_none_is_refused(key, error):
    setting_create(key="a", value=1, actor=SYSTEM)

    with pytest.raises(error):
        setting_create(key=key, value=2, actor=SYSTEM)

    assert SystemSetting.objects.get().value == 1
    assert UserAction.objects.count() == 1


def test_a_setting_that_is_not_there_cannot_be_changed():
    with pytest.raises(NotFound):
        setting_update(key="a", value=1, actor=SYSTEM)


@pytest.mark.parametrize(("text", "value"), [("[]", [[]]), ("0", [0]), ("false", [False]), ("", []), ("null", [])])
def test_the_form_takes_every_value_but_none(client, sign_in, text, value):
    sign_in("admin")

    client.post(f"{BASE}/systemsetting/add/", {"key": "a", "value": text, "description": ""})

    assert list(SystemSetting.objects.values_list("value", flat=True)) == value


def test_no_value_is_refused():
    with pytest.raises(ValidationFailed):
        setting_create(key="a", value=None, actor=SYSTEM)
    setting_create(key="a", value=1, actor=SYSTEM)
    with pytest.raises(ValidationFailed):
        setting_update(key="a", value=None, actor=SYSTEM)


def test_falsy_values_are_values():
    for number, value in enumerate([0, False, "", [], {}]):
        setting_create(key=f"k{number}", value=value, actor=SYSTEM)

    assert list(SystemSetting.objects.order_by("key").values_list("value", flat=True)) == [0, False, "", [], {}]


# --- symbols


def test_admin_watches_a_symbol_and_changes_its_steps(client, sign_in):
    sign_in("admin")
    added = client.post(f"{BASE}/watchedsymbol/add/", SYMBOL)
    row = WatchedSymbol.objects.get()
    changes = {"timeframes": '["1m", "4h"]', "min_quantity": "0.01", "symbol": "ETHUSDT", "reason": "exchange says so"}

    changed = client.post(f"{BASE}/watchedsymbol/{row.pk}/change/", SYMBOL | {"is_active": "on"} | changes)

    row.refresh_from_db()
    assert (added.status_code, changed.status_code) == (302, 302)
    assert (row.symbol, row.timeframes, str(row.min_quantity)) == ("BTCUSDT", ["1m", "4h"], "0.010000000000000000")
    told = action("watched_symbol.update")
    assert (told.resource_id, told.reason) == ("BTCUSDT", "exchange says so")
    assert told.before == {"timeframes": ["1m"], "min_quantity": "0.001000000000000000"}
    assert told.after == {"timeframes": ["1m", "4h"], "min_quantity": "0.01"}
    assert action("watched_symbol.create").after["symbol"] == "BTCUSDT"


@pytest.mark.parametrize(
    "wrong",
    [{"symbol": "btcusdt"}, {"price_precision": "-1"}, {"min_notional": "NaN"}, {"timeframes": '["1 minute"]'}],
)
def test_a_symbol_that_makes_no_sense_is_refused_by_the_form(client, sign_in, wrong):
    sign_in("admin")

    answer = client.post(f"{BASE}/watchedsymbol/add/", SYMBOL | wrong)

    assert answer.status_code == 200
    assert answer.context["errors"]
    assert not WatchedSymbol.objects.exists()


@pytest.mark.parametrize("role", ["trader", "viewer"])
def test_others_see_symbols_and_change_none(client, sign_in, role):
    row = WatchedSymbolFactory()
    sign_in(role)

    assert client.get(f"{BASE}/watchedsymbol/{row.pk}/change/").status_code == 200
    assert client.post(f"{BASE}/watchedsymbol/{row.pk}/change/", SYMBOL).status_code == 403
    assert client.post(f"{BASE}/watchedsymbol/add/", SYMBOL).status_code == 403


# --- templates


def test_a_trader_keeps_a_template_of_their_own(client, sign_in):
    trader = sign_in("trader")
    client.post(f"{BASE}/strategytemplate/add/", TEMPLATE)
    row = StrategyTemplate.objects.get()

    client.post(
        f"{BASE}/strategytemplate/{row.pk}/change/", TEMPLATE | {"name": "Ours", "is_public": "on", "reason": "x"}
    )

    row.refresh_from_db()
    assert (row.name, row.is_public, row.created_by, row.template_data) == ("Ours", True, trader, {"fast": 9})
    told = action("strategy_template.update")
    assert (told.before, told.after) == ({"name": "Mine", "is_public": False}, {"name": "Ours", "is_public": True})


def test_a_private_template_is_seen_by_its_author_and_admins(client, sign_in):
    row = StrategyTemplateFactory(is_public=False, created_by=UserFactory(role="trader"))

    sign_in("trader")
    assert client.get(f"{BASE}/strategytemplate/{row.pk}/change/").status_code == 302
    assert row.name not in client.get(f"{BASE}/strategytemplate/").content.decode()
    sign_in("admin")
    assert client.get(f"{BASE}/strategytemplate/{row.pk}/change/").status_code == 200
    client.force_login(row.created_by)
    assert row.name in client.get(f"{BASE}/strategytemplate/").content.decode()


def test_a_public_template_is_read_by_all_and_changed_by_its_author_and_admins(client, sign_in):
    row = StrategyTemplateFactory(created_by=UserFactory(role="trader"))
    form = TEMPLATE | {"is_public": "on", "reason": "x"}
    path = f"{BASE}/strategytemplate/{row.pk}/change/"

    for role in ("trader", "viewer"):
        sign_in(role)
        assert client.get(path).status_code == 200
        assert client.post(path, form).status_code == 403
    assert StrategyTemplate.objects.get().name == row.name

    sign_in("admin")
    assert client.post(path, form).status_code == 302
    assert StrategyTemplate.objects.get().name == "Mine"


def test_a_viewer_adds_no_template(client, sign_in):
    sign_in("viewer")

    assert client.post(f"{BASE}/strategytemplate/add/", TEMPLATE).status_code == 403
    assert not StrategyTemplate.objects.exists()
