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


def sign_in(page, server):
    """Sign the admin in; return the answer of the login page."""
    answer = page.goto(f"{server.url}/admin/login/?next=/admin/")
    page.fill("input[name=login]", "admin@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.click("#sign-in")
    page.wait_for_url("**/admin/")
    return answer


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
        signed_in = sign_in(page, live_server)
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [1440, 390])
def test_views_totals_export_and_import_work_without_a_script_of_their_own(
    live_server, house, chromium, tmp_path, width
):
    rows = tmp_path / "accounts.csv"
    rows.write_text("account_id,exchange,currency\nbrought,kraken,EUR\n")
    trades = f"{live_server.url}/admin/bots/trade/"

    with sync_playwright() as driver, driver.chromium.launch(executable_path=chromium, args=ARGS) as browser:
        page = browser.new_page(viewport={"width": width, "height": 900})
        trouble = watch(page, urlsplit(live_server.url).netloc)
        sign_in(page, live_server)
        page.goto(trades)
        assert page.locator(".totals table").count() == 0
        page.click(".totals button")
        page.wait_for_selector(".totals table")
        page.goto(f"{trades}?symbol=BTCUSDT")
        page.wait_for_selector(".totals table")
        totals = page.inner_text(".totals")
        page.click("summary:has-text('Views')")
        page.fill(".menu-form input[name=name]", "Bitcoin")
        page.click(".menu-form button")
        page.wait_for_url(f"{trades}?symbol=BTCUSDT")
        page.click("summary:has-text('Views')")
        kept = page.get_attribute("a:text-is('Bitcoin')", "href")
        # One menu is open at a time, and Escape closes it.
        page.click("summary:has-text('Export')")
        still_open = page.locator("details.menu[open]").count()
        with page.expect_download() as export:
            page.click("button[value=csv]")
        lines = export.value.path().read_text().splitlines()
        page.keyboard.press("Escape")
        after_escape = page.locator("details.menu[open]").count()
        page.goto(f"{live_server.url}/admin/bots/exchangeaccount/import/")
        page.set_input_files("input[type=file]", rows)
        page.fill("textarea[name=reason]", "a new one")
        page.click("text=Look at it")
        preview = page.inner_text("table.related")
        too_wide = page.evaluate("document.documentElement.scrollWidth") > width
        page.click("text=Store all of it")
        page.wait_for_url("**/admin/bots/exchangeaccount/")
        stored = page.inner_text("#result_list")

    assert trouble == []
    assert "USDT" in totals
    assert kept == "/admin/bots/trade/?symbol=BTCUSDT"
    assert (still_open, after_escape) == (1, 0)
    assert len(lines) == 3
    assert "kraken" in preview
    assert too_wide is False
    assert "brought" in stored
