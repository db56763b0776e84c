"""Pages under the policy and under axe: nothing breaks a rule. PAGES=all takes every page, `make test-pages` does."""

import json
import os
import re
import shutil
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib import admin as django_admin
from django.urls import reverse
from playwright.sync_api import sync_playwright

from tests.access import ways
from tests.admin.test_browser import ARGS
from tests.factories import PASSWORD

AXE = settings.BASE_DIR / "node_modules" / "axe-core" / "axe.min.js"
LISTEN = """
    window.__broken = [];
    addEventListener("securitypolicyviolation", (e) => window.__broken.push(
        `${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile || ""}:${e.lineNumber}`));
"""
RUN_AXE = """
    async () => {
        const found = await axe.run(document, {
            runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] },
        });
        return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id} ${node.target.join(" ")}`));
    }
"""
# What django-unfold itself writes, on every page of the admin; each entry is a rule of axe and where it stands.
UNFOLDS = re.compile("|".join(json.loads((settings.BASE_DIR / "tests/access/unfold_axe.json").read_text()) or ["^$"]))


@pytest.fixture
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "install chromium"
    return found


def pages(house):
    """Return the address of every page: of each table the list, the page of a row, of adding, and of each button."""
    found = ["/", "/api/v1/docs", "/admin/", "/admin/nothing-here/"]
    own = ("", "2fa/", "2fa/passkeys/", "2fa/passkeys/add/", "2fa/totp/activate/", "confirm/", "identities/",
           "password/", "sessions/", "inactive/")  # fmt: skip
    found += [f"/account/{name}" for name in own]
    for model, page in django_admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        row = page.get_queryset(house.request).order_by("pk").first()
        if row is not None:
            found.append(reverse(f"{name}_change", args=[row.pk]))
        if page.has_add_permission(house.request):
            found.append(reverse(f"{name}_add"))
    for route, pattern in ways.addresses():
        table = ways.table_of(route)
        if table and ways.kind_of(route, pattern, table) not in (*ways.KINDS, "totals", "keep", "drop"):
            [model] = [model for model in django_admin.site._registry if model._meta.label_lower == table]
            row = model._default_manager.order_by("pk").first()
            found.append("/" + re.sub(r"<path:\w+>|<str:\w+>", str(row.pk), route))
    return list(dict.fromkeys(found))


def some(addresses):
    """Return a page of each kind, with whatever stands on none of the others."""
    wanted = (
        "/", "/api/v1/docs", "/admin/", "/admin/nothing-here/", "/account/2fa/", "/account/2fa/totp/activate/",
        "/account/sessions/", "/admin/bots/trade/", "/admin/bots/bot/add/", "/admin/bots/bot/bot_1/change/",
        "/admin/bots/controlstate/room/", "/admin/bots/bot/bot_1/pause/", "/admin/marketdata/candle/",
    )  # fmt: skip
    return [address for address in addresses if address in wanted]


@pytest.mark.django_db(transaction=True)
def test_no_page_breaks_the_policy_or_a_rule_of_axe(live_server, house, admin, chromium, rf):
    assert AXE.is_file(), "npm ci brings axe-core"
    house.request = rf.get("/admin/")
    house.request.user = admin.user
    found, script = pages(house), AXE.read_text()
    addresses = found if os.environ.get("PAGES") == "all" else some(found)
    host, trouble = urlsplit(live_server.url).netloc, []

    with sync_playwright() as driver, driver.chromium.launch(executable_path=chromium, args=ARGS) as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        # A busy machine is slow, not wrong.
        page.set_default_timeout(180_000)
        page.add_init_script(LISTEN)
        page.on("request", lambda r: trouble.append((page.url, r.url)) if foreign(r.url, host) else None)
        page.on("pageerror", lambda error: trouble.append((page.url, str(error))))
        page.goto(f"{live_server.url}/account/login/")
        trouble += look(page, script)
        page.fill("input[name=login]", "admin@example.com")
        page.fill("input[name=password]", PASSWORD)
        page.click("#sign-in")
        page.goto(f"{live_server.url}/account/confirm/")
        page.fill("input[name=password]", PASSWORD)
        page.click("#confirm")
        page.wait_for_url("**/account/")
        for address in addresses:
            answer = page.goto(live_server.url + address, wait_until="load")
            policy = answer.headers["content-security-policy"]
            if "unsafe" in policy:
                trouble.append((address, policy))
            trouble += look(page, script)
        trouble += play(page, live_server.url)

    assert len(found) > 150
    assert len(addresses) > 10
    assert trouble == [], "\n".join(str(one) for one in trouble)


def play(page, home):
    """Use what the admin's theme builds with Alpine; return what is wrong then."""
    page.goto(f"{home}/admin/bots/trade/", wait_until="load")
    page.click("header button:has-text('left_panel'), [x-on\\:click*=sidebarDesktopOpen] >> nth=0")
    page.wait_for_function("localStorage.getItem('sidebarDesktopOpen') === '0'")
    page.goto(f"{home}/admin/bots/bot/bot_1/change/", wait_until="load")
    is_closed = page.evaluate("Alpine.$data(document.body).sidebarDesktopOpen") is False
    page.evaluate("Alpine.$data(document.documentElement).switchTheme('dark')")
    page.wait_for_function("document.documentElement.classList.contains('dark')")
    wrong = [(page.url, one) for one in page.evaluate("window.__broken")]
    return wrong if is_closed else [*wrong, (page.url, "the sidebar forgot that it was closed")]


def foreign(url, host):
    return urlsplit(url).scheme not in ("data", "blob", "ws") and urlsplit(url).netloc != host


def look(page, script):
    """Return what is wrong with the page."""
    broken = page.evaluate("window.__broken")
    # Through the debugger, so that the policy of the page does not have to allow it.
    page.evaluate(script)
    rules = [rule for rule in page.evaluate(RUN_AXE) if not UNFOLDS.search(rule)]
    path = urlsplit(page.url).path
    return [(path, one) for one in [*broken, *rules]]
