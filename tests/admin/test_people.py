"""People and their tokens, configurations, and the trace that logins leave."""

import json
import re

import pytest

from accounts.models import PersonalToken, User
from audit.models import UserAction
from config_app.models import BotConfiguration
from tests.factories import PASSWORD, UserFactory

NEW = "a much longer pass phrase"


def last_action():
    return UserAction.objects.exclude(action__startswith="login").order_by("-id").first()


def test_admin_adds_a_person_who_can_sign_in(admin, client):
    answer = admin.send("accounts_user_add", email="New@Example.com", full_name="New", role="viewer", password=NEW)

    user = User.objects.get(email="new@example.com")
    assert answer.status_code == 302
    assert (user.role, user.is_active) == ("viewer", True)
    assert client.login(username="new@example.com", password=NEW)
    assert last_action().action == "user.create"
    assert NEW not in str(last_action().after)


@pytest.mark.parametrize("fields", [{"password": "short"}, {"email": "ADMIN@example.com"}])
def test_a_weak_password_or_a_taken_address_adds_nobody(admin, fields):
    form = {"email": "new@example.com", "full_name": "", "role": "viewer", "password": NEW} | fields

    admin.send("accounts_user_add", **form)

    assert User.objects.count() == 1


def test_admin_changes_a_role_with_a_reason(admin):
    user = UserFactory(role="viewer", email="v@example.com")

    admin.send(
        "accounts_user_change",
        user.pk,
        full_name="",
        role="trader",
        has_all_bots="on",
        is_active="on",
        reason="joins the desk",
    )

    user.refresh_from_db()
    action = last_action()
    assert user.role == "trader"
    assert (action.action, action.resource_id, action.reason) == ("user.update", "v@example.com", "joins the desk")
    assert (action.before, action.after) == ({"role": "viewer"}, {"role": "trader"})


@pytest.mark.parametrize("fields", [{"role": "viewer", "is_active": "on"}, {"role": "admin"}])
def test_the_last_admin_stays(admin, fields):
    answer = admin.send("accounts_user_change", admin.user.pk, full_name="", reason="holiday", **fields)

    admin.user.refresh_from_db()
    assert admin.user.is_admin
    assert "This is the last active admin." in admin.get(answer.url).content.decode()


def test_a_new_password_ends_the_sessions(admin, viewer):
    admin.send("accounts_user_new_password", viewer.user.pk, password=NEW, reason="forgot it")

    assert viewer.open("index").status_code == 302
    assert viewer.login(username="viewer@example.com", password=NEW)
    assert UserAction.objects.filter(action="user.password", reason="forgot it").count() == 1


def test_switching_a_person_off_ends_the_session(admin, viewer):
    admin.send("accounts_user_change", viewer.user.pk, full_name="", role="viewer", reason="left")

    assert viewer.open("index").status_code == 302


@pytest.mark.parametrize("role", ["trader", "viewer"])
def test_others_see_no_people_at_all(role, request):
    browser = request.getfixturevalue(role)

    for view in ("accounts_user_changelist", "accounts_user_add", "accounts_personaltoken_changelist"):
        assert browser.open(view).status_code == 403
    assert browser.open("accounts_user_history", browser.user.pk).status_code == 403
    assert browser.send("accounts_user_new_token", browser.user.pk, name="mine", days="3").status_code == 403
    assert PersonalToken.objects.count() == 0


def test_personal_token_is_shown_once_and_can_be_revoked(admin):
    page = admin.send("accounts_user_new_token", admin.user.pk, name="export", days="30")

    row = PersonalToken.objects.get()
    assert re.search(rf"tdb_staff_{row.prefix}\.[\w-]+", page.content.decode())

    admin.send("accounts_personaltoken_revoke", row.pk)

    row.refresh_from_db()
    assert row.revoked_at is not None


def test_an_edit_of_a_configuration_is_a_new_version(admin, house):
    old = house.configuration
    value = {"fast": 12, "slow": 30}

    answer = admin.send(
        "config_app_botconfiguration_change", old.pk, config_value=json.dumps(value), reason="slower", bot="other",
        config_key="stolen",
    )  # fmt: skip

    new = BotConfiguration.objects.get(is_active=True)
    old.refresh_from_db()
    assert answer.url == f"/admin/config_app/botconfiguration/{new.pk}/change/"
    assert (new.version, new.config_value, new.config_key, new.reason) == (3, value, "strategy", "slower")
    assert (old.version, old.config_value, old.is_active) == (2, {"fast": 12, "slow": 26}, False)
    assert (last_action().action, last_action().reason) == ("configuration.activate", "slower")


def test_page_of_a_version_shows_what_it_changed(viewer, house):
    page = viewer.open("config_app_botconfiguration_change", house.configuration.pk).content.decode()

    assert '<th scope="row">fast</th><td class="mark">≠</td><td>9</td><td>12</td>' in page
    assert (
        '<th scope="row">slow</th><td class="mark">≠</td><td><span class="unknown">absent</span></td><td>26</td>'
        in page
    )


def test_an_old_version_is_history(admin, house):
    old = BotConfiguration.objects.get(version=1)

    answer = admin.send("config_app_botconfiguration_change", old.pk, config_value='{"fast": 1}', reason="back")

    assert answer.status_code == 403
    assert BotConfiguration.objects.count() == 2


def test_admin_adds_the_first_version_of_a_key(admin, house):
    admin.send(
        "config_app_botconfiguration_add", bot="bot_1", config_key="risk", config_type="risk_params",
        config_value='{"a": 1}',
    )  # fmt: skip

    row = BotConfiguration.objects.get(config_key="risk")
    assert (row.version, row.is_active, row.created_by) == (1, True, "admin@example.com")


def test_history_button_shows_the_actions_of_people(admin, house):
    context = admin.get(f"/admin/config_app/botconfiguration/{house.configuration.pk}/history/").context

    assert {row.action for row in context["history"].actions} == {"configuration.activate"}
    assert context["actions_url"].startswith("/admin/audit/useraction/?resource_type=configuration")
    rows = admin.get(context["actions_url"]).context["cl"].result_list
    assert {row.action for row in rows} == {"configuration.activate"}


def login(client, username, password):
    return client.post("/admin/login/?next=/admin/", {"username": username, "password": password})


def test_login_page_carries_our_name(client, db):
    page = client.get("/admin/login/", follow=True).content.decode()

    assert "tradingdb control room" in page
    assert "Django" not in page


def test_a_good_login_leaves_an_action(client, db):
    user = UserFactory(email="me@example.com")

    answer = login(client, "me@example.com", PASSWORD)

    action = UserAction.objects.get()
    assert answer.status_code == 302
    assert (action.action, action.user, action.resource_id) == ("login.succeeded", user, "me@example.com")
    assert action.ip_address == "127.0.0.1"
    assert action.request_id


def test_a_failed_login_leaves_an_action_of_nobody(client, db):
    UserFactory(email="me@example.com")

    answer = login(client, "Me@Example.com", "guess")

    action = UserAction.objects.get()
    assert answer.status_code == 200
    assert (action.action, action.user, action.user_email) == ("login.failed", None, "me@example.com")
    assert "guess" not in str(UserAction.objects.values().get())


def test_a_password_typed_as_a_name_is_not_kept(client, db):
    login(client, PASSWORD, "")
    login(client, PASSWORD, "x")

    # What is no address is not even tried.
    assert not UserAction.objects.exists()
    assert PASSWORD not in str(list(UserAction.objects.values()))
