"""The pages in a real browser under the Content Security Policy: no error, nothing from outside, no sideways scroll."""

import shutil
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from playwright.sync_api import sync_playwright

from tests.factories import PASSWORD

ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture
def chromium():
    """The path of a browser; a machine without one fails here, for these tests are never left out."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "install chromium"
    return found


def watch(page, host):
    """Collect whatever goes wrong on a page."""
    trouble = []
    page.on("console", lambda m: trouble.append((page.url, m.text)) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append((page.url, str(error))))
    page.on("response", lambda r: trouble.append((page.url, r.url, r.status)) if r.status >= 400 else None)
    page.on("request", lambda r: trouble.append((page.url, r.url)) if outside(r.url, host) else None)
    return trouble


def outside(url, host):
    return urlsplit(url).scheme != "data" and urlsplit(url).netloc != host


@pytest.mark.django_db(transaction=True)
def test_pages_work_under_the_policy_on_desk_and_phone(live_server, house, chromium):
    # Read before the browser starts: its event loop forbids the ORM in this thread.
    paths = [
        "/admin/", "/admin/bots/bot/", "/admin/bots/bot/bot_1/change/", "/admin/bots/bot/bot_1/pause/",
        "/admin/bots/trade/", f"/admin/bots/trade/{house.trade.pk}/change/", "/admin/bots/ingestconflict/",
        f"/admin/config_app/botconfiguration/{house.configuration.pk}/change/", "/admin/marketdata/candle/",
    ]  # fmt: skip
    host = urlsplit(live_server.url).netloc

    with sync_playwright() as driver, driver.chromium.launch(executable_path=chromium, args=ARGS) as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        trouble = watch(page, host)
        signed_in = page.goto(f"{live_server.url}/admin/login/?next=/admin/")
        page.fill("input[name=username]", "admin@example.com")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        too_wide = []
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 844})
            for path in paths:
                page.goto(live_server.url + path)
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    too_wide.append((path, width))
        page.set_viewport_size({"width": 1440, "height": 844})
        page.goto(f"{live_server.url}/admin/bots/trade/")
        title = page.locator("time.moment").first.get_attribute("title")
        page.click("text=Filters")
        page.click("#changelist-filter .select2-selection >> nth=0")
        page.click(".select2-results__option:has-text('bot_1')")
        page.click("#changelist-filter button[type=submit]")
        page.wait_for_url("**bot__bot_id__exact=bot_1**")

    policy = signed_in.headers["content-security-policy"]
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert trouble == []
    assert too_wide == []
    assert title.startswith("2026-11-19 12:")
    assert "\n" in title, "the script adds the reader's own time"
    assert settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["frame-ancestors"] == ["'none'"]
