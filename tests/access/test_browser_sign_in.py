"""A real browser: coming in with an app, a recovery code and a passkey, and proving it before a halt is released."""

import shutil

import pytest
from django.urls import reverse
from playwright.sync_api import expect, sync_playwright

from audit.services.actions import SYSTEM
from bots.models import ControlState
from bots.services.control import control_set
from tests.accounts.conftest import code_of, enrol, recovery_codes
from tests.admin.test_browser import ARGS
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "install chromium"
    return found


def give_password(page, url, email="me@example.com", after="/account/"):
    page.goto(f"{url}/account/login/?next={after}")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.click("#sign-in")


def give_code(page, code):
    page.fill("input[name=code]", code)
    page.click("button[type=submit]:has-text('Sign In')")


def listen(page):
    """Collect what breaks the policy, and errors of scripts."""
    trouble = []
    page.on("console", lambda m: trouble.append((page.url, m.text)) if m.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append((page.url, str(error))))
    return trouble


def test_with_an_app_and_a_recovery_code_and_a_proof_before_a_release(live_server, chromium):
    user = UserFactory(email="me@example.com")
    secret, codes = enrol(user), recovery_codes(user)
    halt = control_set(scope="all", target="", state="HALTED", reason="smoke", actor=SYSTEM)
    release = reverse("admin:bots_controlstate_release", args=[halt.pk])
    url = live_server.url.replace("127.0.0.1", "localhost")

    with sync_playwright() as driver, driver.chromium.launch(executable_path=chromium, args=ARGS) as browser:
        page = browser.new_page()
        trouble = listen(page)
        give_password(page, url, after="/admin/")
        expect(page).to_have_url(f"{url}{reverse('mfa_authenticate')}")
        page.goto(f"{url}/admin/")
        in_without_code = "/account/login/" not in page.url and "/authenticate/" not in page.url
        page.goto(f"{url}{reverse('mfa_authenticate')}")
        give_code(page, code_of(secret))
        page.wait_for_url(lambda address: "/authenticate/" not in address)
        page.goto(f"{url}{release}")
        asked_at = page.url
        page.fill("input[name=code]", code_of(secret, 1))
        page.click("#confirm")
        page.wait_for_url(f"{url}{release}")
        page.fill("textarea[name=reason]", "all clear")
        page.click("button.go")
        page.wait_for_url(lambda address: release not in address)

        other = browser.new_context().new_page()
        give_password(other, url)
        give_code(other, codes[0])
        expect(other.locator("h1")).to_have_text("me@example.com")

    assert not in_without_code
    assert "/account/confirm/" in asked_at
    assert trouble == []
    assert ControlState.objects.get(pk=halt.pk).state == "ACTIVE"


def test_with_a_passkey(live_server, chromium):
    """The authenticator is Chromium's own virtual one: real keys, real signatures."""
    UserFactory(email="me@example.com")
    # A passkey belongs to a name; an address of numbers has none.
    url = live_server.url.replace("127.0.0.1", "localhost")

    with sync_playwright() as driver, driver.chromium.launch(executable_path=chromium, args=ARGS) as browser:
        page = browser.new_page()
        trouble = listen(page)
        line = page.context.new_cdp_session(page)
        line.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
                   "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
        line.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        give_password(page, url)
        page.wait_for_url(f"{url}/account/")
        page.goto(f"{url}{reverse('mfa_add_webauthn')}")
        page.fill("input[name=password]", PASSWORD)
        page.click("#confirm")
        page.wait_for_url(f"{url}{reverse('mfa_add_webauthn')}")
        page.fill("input[name=name]", "laptop")
        page.check("input[name=passwordless]")
        page.click("#mfa_webauthn_add")
        page.wait_for_url(f"{url}{reverse('mfa_view_recovery_codes')}")
        shown = page.input_value("#recovery_codes").split()
        page.check("#codes_saved")
        page.click("button:has-text('Sign out')")
        page.goto(f"{url}/account/login/?next=/account/sessions/")
        page.click("#passkey_login")
        page.wait_for_url(f"{url}/account/sessions/")
        page.goto(f"{url}/account/confirm/?next=/account/sessions/")
        page.click("#confirm_passkey")
        page.wait_for_url(f"{url}/account/sessions/")

    assert len(shown) == 10
    assert trouble == []
