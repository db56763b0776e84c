"""The control room in a real browser: Chromium, uvicorn, PostgreSQL and Redis."""

import os
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.utils import timezone
from playwright.sync_api import Browser, Page, WebSocketRoute, expect, sync_playwright

from accounts.models import User
from audit.choices import RunKind
from audit.models import InvariantRun
from audit.services.invariant_runs import run_record
from bots.live.publish import publish
from bots.models import ControlState
from tests.factories import BotFactory, PositionFactory, UserFactory
from tests.live.live_browser import SocketServer, session_of
from tests.live.live_rows import closed, news, price, stored
from tradingdb.routing import websocket_application

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PATIENCE_MS = 15_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("Chromium is missing: `apt-get install -y chromium`, or set CHROMIUM to the program.")
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        # Playwright keeps an event loop in this thread, in which Django would refuse every query of a test.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


async def site(scope: Any, receive: Any, send: Any) -> None:
    """The site as asgi.py serves it, without the bots' lane."""
    await (websocket_application if scope["type"] == "websocket" else get_asgi_application())(scope, receive, send)


@pytest.fixture
def web() -> Iterator[SocketServer]:
    server = SocketServer(site)
    yield server
    server.stop()


@pytest.fixture
def user() -> User:
    return UserFactory(role="trader")


class Visit:
    """One page of a signed-in person; whatever the browser complains about is kept."""

    def __init__(self, chromium: Browser, web: SocketServer, user: User, **context: Any) -> None:
        self.base = f"http://127.0.0.1:{web.port}"
        self.context = chromium.new_context(**context)
        cookie = {"name": "sessionid", "value": session_of(user), "url": self.base}
        self.context.add_cookies([cookie])  # type: ignore[list-item]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.base + path)
        expect(self.page.locator("#connection")).to_have_class(re.compile("live|degraded"), timeout=PATIENCE_MS)
        return self.page


@pytest.fixture
def visit(chromium: Browser, web: SocketServer, user: User) -> Iterator[Any]:
    visits: list[Visit] = []

    def begin(**context: Any) -> Visit:
        visits.append(Visit(chromium, web, user, **context))
        return visits[-1]

    yield begin
    for one in visits:
        one.context.close()


def row_of(page: Page, position_id: str) -> Any:
    return page.locator(f'#positions-table tr[data-key="{position_id}"]')


def test_positions_appear_move_and_go(visit: Any) -> None:
    bot = BotFactory(bot_id="alpha", current_equity="1234.5", last_heartbeat=timezone.now())
    held = PositionFactory(bot=bot, size="2", avg_entry_price="100")
    here = visit()
    page = here.open()

    expect(row_of(page, held.position_id)).to_contain_text("BTCUSDT")
    expect(page.locator("#mode")).to_contain_text("DEMO")
    expect(page.locator("#totals")).to_contain_text("1,234.50")
    expect(page).to_have_title("(1) Control room")

    publish([price("123.456789")])

    expect(row_of(page, held.position_id)).to_contain_text("+46.91")
    expect(row_of(page, held.position_id)).to_contain_text("+23.46 %")
    figure = row_of(page, held.position_id).locator(".pnl").first
    expect(figure).to_have_attribute("title", "46.913578 USDT")
    expect(page.locator("#price-list")).to_contain_text("123.4568")

    row = stored(held)
    held.delete()
    publish([closed(row, 2), news("fill", "alpha", fill_id="f1", side="sell", quantity="2", price="123")])

    expect(row_of(page, held.position_id)).to_have_count(0)
    expect(page.locator("#positions-empty")).to_contain_text("No open position.")
    expect(page.locator("#feed-list")).to_contain_text("sell 2 BTCUSDT at 123.00")
    expect(page).to_have_title("Control room")
    assert here.complaints == []


def test_it_comes_back_after_the_server_was_gone(visit: Any, web: SocketServer) -> None:
    held = PositionFactory()
    page = visit().open()
    expect(row_of(page, held.position_id)).to_be_visible()

    web.stop()
    expect(page.locator("#connection")).to_contain_text(re.compile("reconnecting|connecting"))
    later = PositionFactory()
    again = SocketServer(site, port=web.port)

    try:
        expect(row_of(page, later.position_id)).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator("#connection .word")).to_have_text("live")
        publish([price("150")])
        expect(row_of(page, held.position_id)).to_contain_text("+50.00")
    finally:
        page.close()
        again.stop()


def test_a_gap_makes_it_ask_for_everything(visit: Any) -> None:
    held = PositionFactory()
    here = visit()
    sent: list[str] = []
    dropped: list[str] = []

    def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def to_server(message: str | bytes) -> None:
            sent.append(str(message))
            server.send(message)

        def to_page(message: str | bytes) -> None:
            if '"delta"' in str(message) and not dropped:
                dropped.append(str(message))
            else:
                route.send(message)

        route.on_message(to_server)
        server.on_message(to_page)

    here.page.route_web_socket(re.compile("/ws/live/"), between)
    page = here.open()
    expect(row_of(page, held.position_id)).to_be_visible()

    publish([price("150")])
    page.wait_for_timeout(200)
    publish([price("160", symbol="ETHUSDT")])

    expect(row_of(page, held.position_id)).to_contain_text("+50.00")
    assert len(dropped) == 1
    assert sent == ['{"type":"resync"}']


def test_a_halt_is_shown_at_once(visit: Any) -> None:
    BotFactory()
    page = visit().open()
    expect(page.locator("#bots-table tbody tr")).to_have_count(1)

    ControlState.objects.create(scope="all", state="HALTED", reason="stop <b>all</b>")

    expect(page.locator("#alarms")).to_contain_text("everything: stop <b>all</b>")
    expect(page.locator("#bots-table .status")).to_contain_text("halted")
    expect(page).to_have_title("(HALTED) Control room")


def run_of(seconds_ago: int, **counts: int) -> None:
    run_record(
        at=timezone.now() - timedelta(seconds=seconds_ago), duration=timedelta(0), kind=RunKind.FULL, counts=counts,
        found={name: [{"bot_id": "alpha"}] * count for name, count in counts.items()}, replay="exact_replay",
    )  # fmt: skip


def test_the_ledgers_light_is_red_when_something_is_broken_or_nobody_looked(visit: Any) -> None:
    run_of(5, I08_position_size=0, I09_realized_pnl=0)
    light = visit().open().locator("#ledger")
    expect(light).to_contain_text(re.compile(r"Ledger holds · \d+ s"))
    expect(light).to_have_class(re.compile("live"))

    run_of(4, I08_position_size=2, I09_realized_pnl=1)
    light = visit().open().locator("#ledger")
    expect(light).to_contain_text("Ledger red: I08, I09")
    expect(light).to_have_class(re.compile("offline"))
    expect(light).to_have_attribute("title", re.compile("I08_position_size: 2\nI09_realized_pnl: 1\n2 invariants"))

    InvariantRun.objects.all().delete()
    run_of(181, I08_position_size=0)
    light = visit().open().locator("#ledger")
    expect(light).to_contain_text("Ledger not looked at for 3 min")
    expect(light).to_have_class(re.compile("offline"))


def test_a_filter_is_part_of_the_address(visit: Any) -> None:
    mine, other = PositionFactory(), PositionFactory()
    page = visit().open()
    expect(row_of(page, other.position_id)).to_be_visible()

    page.select_option("#filter-bot", mine.bot_id)

    expect(row_of(page, other.position_id)).to_have_count(0)
    expect(row_of(page, mine.position_id)).to_be_visible()
    assert page.url.endswith(f"/?bot={mine.bot_id}")
    expect(page.locator("#bots-table tbody tr")).to_have_count(1)
    page.locator(".chip").click()
    expect(row_of(page, other.position_id)).to_be_visible()
    page.go_back()
    expect(row_of(page, other.position_id)).to_have_count(0)
    page.locator("#main").focus()
    page.keyboard.press("Escape")
    expect(row_of(page, other.position_id)).to_be_visible()


def test_an_address_with_a_filter_that_fits_nothing_says_so(visit: Any) -> None:
    PositionFactory()
    page = visit().open("/?bot=nobody")

    expect(page.locator("#positions-empty")).to_contain_text("Nothing matches this filter.")
    page.locator("#positions-empty button").click()
    expect(page.locator("#positions-table tbody tr")).to_have_count(1)


def test_who_is_disabled_is_sent_to_the_login(visit: Any, user: User) -> None:
    page = visit().open()

    user.is_active = False
    user.save()

    page.wait_for_url(re.compile("/account/login/"))


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_shows_cards_and_scrolls_only_down(visit: Any, scheme: str) -> None:
    for symbol in ("BTCUSDT", "1000PEPE/USDT:USDT"):
        PositionFactory(symbol=symbol, bot=BotFactory(strategy_name="A strategy with quite a long name, it is"))
    page = visit(viewport={"width": 390, "height": 844}, color_scheme=scheme).open()
    expect(page.locator("#positions-table tbody tr")).to_have_count(2)

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    for link in page.locator(".bottom-bar a").all():
        box = link.bounding_box()
        assert box is not None
        assert box["height"] >= 44


def test_without_charts_everything_else_works(visit: Any) -> None:
    held = PositionFactory()
    here = visit()
    here.page.route(re.compile("/static/npm/"), lambda route: route.abort())
    page = here.open()

    publish([price("150")])

    expect(row_of(page, held.position_id)).to_contain_text("+50.00")
    assert [text for text in here.complaints if "ERR_FAILED" not in text] == []


def test_the_keyboard_reaches_rows_and_help(visit: Any) -> None:
    held = PositionFactory()
    page = visit().open()
    expect(row_of(page, held.position_id)).to_be_visible()

    page.keyboard.press("j")
    expect(row_of(page, held.position_id)).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#filter-bot")).to_be_focused()


def test_money_is_never_a_float_on_the_screen(visit: Any) -> None:
    page = visit().open()

    shown = page.evaluate(
        """async () => {
            const format = await import("/static/dashboard/format.js");
            return [
                format.money("12345678901234567890.125"), format.money("-0.000012345"), format.money("-0.0000"),
                format.full("0.100000000000000001", "BTC"), format.price("0.00001234500"), format.price("65123.4567"),
                format.percent("0.012345"), format.percent("-1.5"), format.percent("-0.00001"),
                format.amount("3.000"), format.money(null), format.money("nonsense"),
                format.pnl("-5").arrow, format.age(3725),
            ];
        }"""
    )

    assert shown == [
        "12,345,678,901,234,567,890.13", "\N{MINUS SIGN}0.000012", "0.00",
        "0.100000000000000001 BTC", "0.000012345", "65,123.46",
        "1.23 %", "\N{MINUS SIGN}150.00 %", "0.00 %",
        "3", "\N{EN DASH}", "\N{EN DASH}",
        "▼", "1 h",
    ]  # fmt: skip
