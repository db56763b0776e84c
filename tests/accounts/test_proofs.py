"""Before something grave a person proves to be there: a code or passkey where there is one, else the password."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from audit.models import UserAction
from audit.services.actions import SYSTEM
from bots.models import Bot, ControlState
from bots.services.control import control_set
from tests.accounts.conftest import code_of, enrol
from tests.factories import PASSWORD, BotFactory, UserFactory

pytestmark = pytest.mark.django_db
CONFIRM = "/api/v1/auth/confirm"
RELEASE = {"scope": "all", "state": "ACTIVE", "reason": "all clear"}


@pytest.fixture
def halt():
    return control_set(scope="all", target="", state="HALTED", reason="smoke", actor=SYSTEM)


def browser_of(role):
    browser = Client()
    browser.user = UserFactory(role=role)
    browser.force_login(browser.user)
    return browser


def call(browser, path, body):
    return browser.post(path, body, content_type="application/json")


def is_halted():
    return ControlState.objects.get(scope="all").state == "HALTED"


class TestTheReleaseOfAHalt:
    def page(self, row):
        return reverse("admin:bots_controlstate_release", args=[row.pk])

    def test_by_the_api_needs_a_proof_a_reason_and_an_admin(self, halt):
        admin = browser_of("admin")

        assert call(admin, "/api/v1/control", RELEASE).json()["code"] == "reauthentication_required"
        assert call(admin, CONFIRM, {"password": "guess"}).json()["code"] == "wrong_password"
        assert call(admin, "/api/v1/control", RELEASE).status_code == 403
        assert call(admin, CONFIRM, {"password": PASSWORD}).status_code == 200
        assert call(admin, "/api/v1/control", RELEASE | {"reason": " "}).status_code == 422
        assert is_halted()
        assert call(admin, "/api/v1/control", RELEASE).status_code == 200
        assert not is_halted()

    @pytest.mark.parametrize("role", ["viewer", "trader"])
    def test_is_no_other_roles_even_with_a_proof(self, halt, role):
        browser = browser_of(role)
        call(browser, CONFIRM, {"password": PASSWORD})

        assert call(browser, "/api/v1/control", RELEASE).status_code == 403
        assert browser.post(self.page(halt), {"reason": "all clear"}).status_code == 403
        assert is_halted()

    def test_by_the_page_asks_for_the_proof_first_and_for_a_reason(self, halt):
        admin = browser_of("admin")

        asked = admin.get(self.page(halt))
        assert asked["Location"].startswith(reverse("account_reauthenticate"))
        assert admin.post(self.page(halt), {"reason": "all clear"}).status_code == 302
        assert is_halted()

        confirmed = admin.post(asked["Location"], {"password": PASSWORD, "next": self.page(halt)})
        assert is_halted(), "the interrupted form is not sent again: the person sees the page first"
        assert confirmed["Location"] == self.page(halt)
        assert admin.post(self.page(halt), {"reason": ""}).status_code == 200
        assert is_halted()
        admin.post(self.page(halt), {"reason": "all clear"})
        assert not is_halted()
        assert UserAction.objects.get(action="control.release").reason == "all clear"

    def test_a_proof_counts_for_five_minutes_and_in_its_session_alone(self, halt):
        admin, other = browser_of("admin"), Client()
        other.force_login(admin.user)
        with time_machine.travel(timezone.now(), tick=False) as clock:
            call(admin, CONFIRM, {"password": PASSWORD})
            assert call(other, "/api/v1/control", RELEASE).json()["code"] == "reauthentication_required"
            clock.shift(timedelta(minutes=5, seconds=1))
            assert call(admin, "/api/v1/control", RELEASE).json()["code"] == "reauthentication_required"
        assert is_halted()

    def test_with_a_second_factor_the_password_proves_nothing(self, halt):
        admin = browser_of("admin")
        secret = enrol(admin.user)

        assert call(admin, CONFIRM, {"password": PASSWORD}).json()["code"] == "second_factor_required"
        assert call(admin, CONFIRM, {"code": "000000"}).json()["code"] == "wrong_code"
        assert call(admin, "/api/v1/control", RELEASE).status_code == 403
        code = code_of(secret)
        assert call(admin, CONFIRM, {"code": code}).status_code == 200
        assert call(admin, CONFIRM, {"code": code}).json()["code"] == "wrong_code", "good once"
        assert call(admin, "/api/v1/control", RELEASE).status_code == 200

    def test_a_sign_in_is_no_proof(self, halt):
        user = UserFactory(email="me@example.com")
        admin = Client()
        admin.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})

        assert call(admin, "/api/v1/control", RELEASE).json()["code"] == "reauthentication_required"


def test_the_api_wants_one_proof_and_not_two():
    admin = browser_of("admin")

    assert call(admin, CONFIRM, {}).status_code == 422
    assert call(admin, CONFIRM, {"password": "a", "code": "1"}).status_code == 422


def test_raising_a_limit_needs_a_proof_lowering_it_none():
    admin, bot = browser_of("admin"), BotFactory(max_positions=3, max_daily_loss_pct="0.05")
    path = f"/api/v1/bots/{bot.bot_id}"

    def patch(**changes):
        return admin.patch(path, {"reason": "test", **changes}, content_type="application/json").status_code

    assert patch(max_positions=2) == 200
    assert patch(max_positions=3) == 403
    assert patch(max_daily_loss_pct=None) == 403, "no limit is the highest"
    assert patch(bot_name="Another name") == 200
    call(admin, CONFIRM, {"password": PASSWORD})
    assert patch(max_positions=9) == 200
    assert Bot.objects.get(pk=bot.pk).max_positions == 9


def test_a_raised_limit_on_the_page_goes_on_after_the_proof():
    admin, bot = browser_of("admin"), BotFactory(max_positions=3)
    page = reverse("admin:bots_bot_change", args=[quote(bot.bot_id)])
    form = {
        "bot_name": bot.bot_name, "description": "", "max_positions": 7, "leverage_limit": bot.leverage_limit,
        "max_daily_loss_pct": "", "max_weekly_loss_pct": "", "max_drawdown_pct": "", "reason": "more room",
    }  # fmt: skip

    asked = admin.post(page, form)
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    assert Bot.objects.get(pk=bot.pk).max_positions == 3
    admin.post(asked["Location"], {"password": PASSWORD, "next": page})

    assert Bot.objects.get(pk=bot.pk).max_positions == 7
    assert UserAction.objects.filter(resource_id=bot.bot_id).latest("id").reason == "more room"


def test_a_password_in_a_form_is_not_kept_while_the_proof_is_asked_for():
    admin, user = browser_of("admin"), UserFactory()
    new = "another horse battery"

    for view, args in (("accounts_user_new_password", [user.pk]), ("accounts_user_add", [])):
        form = {"password": new, "reason": "x", "email": "n@example.com", "role": "viewer", "full_name": ""}
        answer = admin.post(reverse(f"admin:{view}", args=args), form)
        assert answer["Location"].startswith(reverse("account_reauthenticate"))
        assert new not in str(dict(admin.session.items()))


@pytest.mark.parametrize("view", ["bots_bot_new_token", "accounts_user_new_token", "accounts_user_new_password"])
def test_secrets_are_made_after_a_proof(view):
    admin = browser_of("admin")
    row = BotFactory() if view.startswith("bots") else admin.user

    assert admin.get(reverse(f"admin:{view}", args=[quote(row.pk)]))["Location"].startswith(
        reverse("account_reauthenticate")
    )
    call(admin, CONFIRM, {"password": PASSWORD})
    assert admin.get(reverse(f"admin:{view}", args=[quote(row.pk)])).status_code == 200


def test_a_role_changes_after_a_proof():
    admin, user = browser_of("admin"), UserFactory(role="viewer")
    page = reverse("admin:accounts_user_change", args=[user.pk])
    form = {"full_name": "", "role": "admin", "has_all_bots": "on", "is_active": "on", "reason": "promoted"}

    asked = admin.post(page, form)
    assert User.objects.get(pk=user.pk).role == "viewer"
    admin.post(asked["Location"], {"password": PASSWORD, "next": page})
    assert User.objects.get(pk=user.pk).role == "admin"


def test_a_whole_table_of_some_size_is_an_admins_after_a_proof(settings):
    settings.EXPORT_FREELY_ROWS = 2
    for _ in range(3):
        BotFactory()
    admin, viewer = browser_of("admin"), browser_of("viewer")
    address = reverse("admin:bots_bot_export")

    assert viewer.post(address, {"format": "csv"}).status_code == 403
    narrowed = viewer.post(f"{address}?status__exact=active", {"format": "csv"})
    assert b"".join(narrowed.streaming_content)
    assert admin.post(address, {"format": "csv"})["Location"].startswith(reverse("account_reauthenticate"))
    call(admin, CONFIRM, {"password": PASSWORD})
    answer = admin.post(address, {"format": "csv"})
    assert answer.status_code == 200
    assert len(b"".join(answer.streaming_content).splitlines()) >= 4
