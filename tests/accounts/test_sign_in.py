"""Coming in: one place, a second factor that is good once, secrets that do not stand in the clear."""

import json

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse

from accounts.services.factors import factors_of, use_code
from audit.models import UserAction
from tests.accounts.conftest import code_of, enrol, is_in, recovery_codes, sign_in, stored_factor
from tests.factories import PASSWORD, UserFactory
from tradingdb.lib import crypto

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("page", ["/", "/admin/", "/admin/bots/bot/", "/account/", "/account/2fa/"])
def test_every_door_leads_to_the_one_sign_in(client, page):
    answer = client.get(page, follow=True)

    assert answer.redirect_chain[-1][0].startswith("/account/login/?next=")
    assert answer.status_code == 200


def test_sign_in_goes_on_to_where_one_wanted_to(client):
    UserFactory(email="me@example.com")

    answer = client.post("/account/login/?next=/admin/bots/bot/", {"login": "Me@Example.com", "password": PASSWORD,
                                                                  "next": "/admin/bots/bot/"})  # fmt: skip

    assert (answer.status_code, answer["Location"]) == (302, "/admin/bots/bot/")
    assert is_in(client)


def test_sign_in_leads_to_no_other_site(client):
    UserFactory(email="me@example.com")

    answer = client.post("/account/login/", {"login": "me@example.com", "password": PASSWORD,
                                             "next": "https://evil.example/"})  # fmt: skip

    assert "evil" not in answer["Location"]


def test_a_person_who_is_switched_off_stays_out(client):
    UserFactory(email="me@example.com", is_active=False)

    sign_in(client, "me@example.com")

    assert not is_in(client)


def test_nobody_signs_up_and_nobody_resets_by_mail(client):
    assert client.get("/account/signup/").status_code == 404
    assert client.get("/account/password/reset/").status_code == 404


def test_with_an_app_the_password_alone_is_not_enough(client):
    user = UserFactory(email="me@example.com")
    secret = enrol(user)

    answer = sign_in(client, "me@example.com")
    assert answer["Location"] == reverse("mfa_authenticate")
    assert not is_in(client)
    assert client.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    assert not is_in(client)

    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert is_in(client)
    actions = set(UserAction.objects.values_list("action", flat=True))
    assert {"login.factor_failed", "login.succeeded"} <= actions


def test_a_code_is_good_once_even_when_redis_forgot_everything(client):
    user = UserFactory(email="me@example.com")
    secret = enrol(user)
    code = code_of(secret)

    assert use_code(user=user, code=code) is not None
    assert use_code(user=user, code=code) is None
    assert use_code(user=user, code=code_of(secret, -1)) is None, "an older one after a newer one"
    assert use_code(user=user, code=code_of(secret, 1)) is not None
    assert use_code(user=user, code=code_of(secret, 3)) is None


def test_a_recovery_code_is_good_once(client):
    user = UserFactory(email="me@example.com")
    enrol(user)
    code = recovery_codes(user)[3]

    for expected in (True, False):
        browser = Client()
        sign_in(browser, "me@example.com")
        browser.post(reverse("mfa_authenticate"), {"code": code})
        assert is_in(browser) is expected


def test_secrets_of_factors_stand_in_no_row_in_the_clear():
    user = UserFactory()
    secret, codes = enrol(user), recovery_codes(user)

    stored = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))

    assert secret not in stored
    assert not [code for code in codes if code in stored]


def test_the_secret_of_one_person_does_not_open_for_another():
    user, other = UserFactory(), UserFactory()
    secret = enrol(user)
    enrol(other)
    theirs = stored_factor(other)
    theirs.data["secret"] = stored_factor(user).data["secret"]
    theirs.save()

    with pytest.raises(crypto.Undecryptable):
        use_code(user=other, code=code_of(secret))
    with pytest.raises(crypto.Undecryptable), factors_of(other.pk):
        theirs.wrap().validate_code(code_of(secret))


def test_a_person_sets_up_an_app_by_the_pages(client):
    UserFactory(email="me@example.com")
    sign_in(client, "me@example.com")

    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    page = client.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    answer = client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)}, follow=True)

    assert answer.status_code == 200
    assert answer.request["PATH_INFO"] == reverse("mfa_view_recovery_codes"), answer.content.decode()[-1500:]
    assert len(answer.context["unused_codes"]) == 10
    browser = Client()
    sign_in(browser, "me@example.com")
    browser.post(reverse("mfa_authenticate"), {"code": code_of(secret, 1)})
    assert is_in(browser)


def test_removing_a_factor_asks_for_a_code_first(client):
    user = UserFactory(email="me@example.com")
    secret = enrol(user)
    client.force_login(user)

    answer = client.post(reverse("mfa_deactivate_totp"))
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert Authenticator.objects.filter(user=user).exists()

    client.post(answer["Location"], {"code": code_of(secret)})
    client.post(reverse("mfa_deactivate_totp"))
    assert not Authenticator.objects.filter(user=user).exists()


class TestWhereASecondFactorIsRequired:
    @pytest.fixture(autouse=True)
    def required(self, settings):
        settings.MFA_REQUIRED = True

    @pytest.mark.parametrize("page", ["/", "/admin/", "/admin/bots/bot/", "/admin/bots/trade/export/"])
    def test_pages_lead_to_setting_one_up(self, client, page):
        client.force_login(UserFactory())

        answer = client.get(page)

        assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_index"))

    def test_the_api_says_so(self, client):
        client.force_login(UserFactory())

        answer = client.get("/api/v1/bots")

        assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")

    def test_with_one_the_doors_open(self, client):
        user = UserFactory()
        enrol(user)
        client.force_login(user)

        assert client.get("/admin/").status_code == 200
        assert client.get("/api/v1/bots").status_code == 200
