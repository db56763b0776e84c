"""The control room's socket, end to end: PostgreSQL, Redis, uvicorn and a real client."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.utils import timezone
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from accounts.models import Session
from bots.live import hub, keys
from bots.live.client import sync_client
from bots.live.outlet import SIGNED_OUT
from bots.live.publish import publish
from tests.factories import BotFactory, PositionFactory, TradeFactory, UserFactory
from tests.live.live_browser import Browser, SocketServer, session_of, wait_for
from tests.live.live_rows import closed, halt, news, position, price, stored
from tradingdb.routing import websocket_application

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]


def closing_code(browser: Any) -> int:
    """Read until the server closes, and return its code."""
    with pytest.raises(ConnectionClosed) as caught:
        browser.follow(lambda: False)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def status_of(url: str, **options: Any) -> int:
    """Return the HTTP status a refused handshake gets."""
    with pytest.raises(InvalidStatus) as caught, connect(url, **options):
        pass
    return caught.value.response.status_code


def test_a_browser_gets_the_snapshot_and_then_each_change(browse: Any) -> None:
    bot = BotFactory(current_equity="1000")
    held = PositionFactory(bot=bot, size="2", avg_entry_price="100")

    browser = browse()
    snapshot = browser.receive()

    assert snapshot["type"] == "snapshot"
    assert snapshot["sources"] == {"postgres": True, "redis": True}
    assert browser.positions[held.position_id]["cost_basis"] == "200"
    assert browser.totals["by_currency"]["demo/USDT"]["equity"] == "1000"

    publish([price("123.45")])
    delta = browser.until("delta")

    assert [row["position_id"] for row in delta["positions"]] == [held.position_id]
    assert browser.positions[held.position_id]["unrealized_pnl"] == "46.9"
    assert browser.totals["by_currency"]["demo/USDT"]["unrealized_pnl"] == "46.9"

    row = stored(held)
    held.delete()
    publish([closed(row, 2), news("fill", bot.bot_id, fill_id="f1", price="123.45")])
    delta, fill = browser.until("delta"), browser.until("fill")

    assert delta["closed"] == [held.position_id]
    assert browser.positions == {}
    assert fill["items"] == [{"bot_id": bot.bot_id, "symbol": "BTCUSDT", "fill_id": "f1", "price": "123.45"}]


def test_resync_brings_the_whole_view(browse: Any) -> None:
    held = PositionFactory()
    browser = browse()
    browser.receive()
    publish([price("150")])
    browser.until("delta")

    browser.send({"type": "resync"})
    again = browser.until("snapshot")

    assert again["seq"] == browser.seq
    assert browser.positions[held.position_id]["current_price"] == "150"
    publish([price("151", at="2026-11-20T11:00:00Z")])
    assert browser.until("delta")["seq"] == again["seq"] + 1


def test_filters_narrow_the_view(browse: Any) -> None:
    mine, other = PositionFactory(symbol="BTCUSDT"), PositionFactory(symbol="ETHUSDT")

    by_bot = browse(path=f"/ws/live/?bot={mine.bot_id}")
    by_symbol = browse(path="/ws/live/?symbol=ETHUSDT")
    by_bot.receive()
    by_symbol.receive()

    assert set(by_bot.positions) == {mine.position_id}
    assert set(by_bot.bots) == {mine.bot_id}
    assert set(by_symbol.positions) == {other.position_id}
    publish([price("7", symbol="ETHUSDT"), price("8", symbol="BTCUSDT")])
    assert set(by_bot.until("delta")["prices"]) == {"BTCUSDT"}
    assert set(by_symbol.until("delta")["prices"]) == {"ETHUSDT"}


def test_a_flood_is_coalesced_and_ends_right(browse: Any, settings: Any) -> None:
    settings.LIVE_MAX_MESSAGES_PER_SECOND = 20
    held = PositionFactory()
    browser = browse()
    browser.receive()
    arrived: list[float] = []

    for number in range(600):
        at = f"2026-11-20T10:{number // 60:02}:{number % 60:02}Z"
        publish([price(str(1000 + number), at=at), news("fill", held.bot_id, fill_id=str(number))])
    fills: list[str] = []
    deadline = time.monotonic() + 20
    while len(fills) < 600 or browser.prices["BTCUSDT"]["price"] != "1599":
        message = browser.receive(deadline - time.monotonic())
        if message["type"] != "ping":
            arrived.append(time.monotonic())
        fills += [item["fill_id"] for item in message.get("items", [])]

    assert fills == [str(number) for number in range(600)]
    assert browser.positions[held.position_id]["unrealized_pnl"] == "1499"
    # A moment of ours may be a moment later than the server's; the seconds are compared with that much room.
    busiest = max(sum(1 for other in arrived if moment <= other < moment + 0.9) for moment in arrived)
    assert busiest <= 20


def test_a_lost_publish_heals(browse: Any) -> None:
    browser = browse()
    browser.receive()

    held = PositionFactory()

    assert [row["position_id"] for row in browser.until("delta")["positions"]] == [held.position_id]
    held.delete()
    browser.follow(lambda: held.position_id not in browser.positions)


def test_profit_of_the_day_follows_a_closed_trade(browse: Any) -> None:
    bot = BotFactory()
    browser = browse()
    browser.receive()
    now = timezone.now()

    TradeFactory(bot=bot, entry_time=now, exit_time=now)
    publish([news("trade", bot.bot_id, trade_id="t1")])

    browser.follow(lambda: browser.bots[bot.bot_id]["realized_today"] == "10")
    assert browser.totals["by_currency"]["demo/USDT"]["realized_today"] == "10"


def test_nonsense_on_the_channel_harms_nobody(browse: Any) -> None:
    held = PositionFactory()
    browser = browse()
    browser.receive()

    for message in ("{not json", '[{"kind":"position","data":{}}]', '[{"kind":"price"}]', "[1]", "7", '{"kind": 1}'):
        sync_client().publish(keys.channel(), message)
    publish([price("150")])

    browser.follow(lambda: browser.positions[held.position_id]["current_price"] == "150")


def test_a_halt_is_told_and_kept(browse: Any) -> None:
    browser = browse()
    browser.receive()

    publish([halt("HALTED", 1, reason="stop everything")])

    assert browser.until("halt")["items"][0]["reason"] == "stop everything"
    later = browse()
    assert later.receive()["halts"][0]["state"] == "HALTED"


def test_an_emptied_redis_is_filled_again_and_costs_no_number(browse: Any, own_keys: str) -> None:
    held = PositionFactory()
    browser = browse()
    browser.receive()
    for key in sync_client().scan_iter(match=f"{own_keys}*"):
        sync_client().delete(key)

    publish([price("150")])
    browser.until("delta")

    assert browser.positions[held.position_id]["current_price"] == "150"
    assert browser.positions[held.position_id]["size"] == "1"


def test_a_stalled_browser_holds_up_nobody(socket_server: SocketServer, browse: Any) -> None:
    held = PositionFactory()
    row = stored(held)
    with stalled_browser(socket_server):
        browser = browse(max_size=None)
        browser.receive()
        # Far more than the kernel keeps for a socket that is not read.
        for number in range(60):
            text = {"message": f"{number}-" + "x" * 200_000}
            size = str(number + 1)
            publish([news("event", held.bot_id, **text), position(row | {"version": number + 2, "size": size})])
            browser.follow(lambda size=size: browser.positions[held.position_id]["size"] == size)
        (the_hub,) = (found for loop, found in hub._hubs.items() if loop.is_running())
        wait_for(lambda: sorted(watcher.outlet.is_busy for watcher in the_hub._watchers) == [False, True])

    def texts() -> list[str]:
        return [item["message"] for message in browser.seen for item in message.get("items", [])]

    browser.follow(lambda: len(texts()) == 60)
    assert [text.partition("-")[0] for text in texts()] == [str(number) for number in range(60)]


@contextmanager
def stalled_browser(server: SocketServer) -> Iterator[None]:
    """A browser that opens the socket and then reads nothing."""
    key = session_of(UserFactory(role="viewer"))
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", server.port))
        stalled.sendall(
            b"GET /ws/live/ HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Cookie: sessionid=" + key.encode() + b"\r\n\r\n"
        )
        yield


@pytest.mark.parametrize("origin", ["http://evil.example", None])
def test_a_foreign_page_is_refused(socket_server: SocketServer, origin: str | None) -> None:
    headers = {"Cookie": f"sessionid={session_of(UserFactory())}"}

    assert status_of(socket_server.url("/ws/live/"), additional_headers=headers, origin=origin) == 403


@pytest.mark.parametrize("cookie", [None, "sessionid=", f"sessionid={'0' * 32}", "other=1", "=; a[b]=1"])
def test_who_is_not_signed_in_is_refused(socket_server: SocketServer, cookie: str | None) -> None:
    headers = {"Cookie": cookie} if cookie else {}

    url = socket_server.url("/ws/live/")
    assert status_of(url, additional_headers=headers, origin="http://127.0.0.1") == 403


def test_a_disabled_person_is_refused(socket_server: SocketServer) -> None:
    headers = {"Cookie": f"sessionid={session_of(UserFactory(is_active=False))}"}

    url = socket_server.url("/ws/live/")
    assert status_of(url, additional_headers=headers, origin="http://127.0.0.1") == 403


def test_an_unknown_address_is_refused(socket_server: SocketServer) -> None:
    assert status_of(socket_server.url("/ws/else/")) == 403


def test_a_person_who_is_disabled_is_cut_off(browse: Any) -> None:
    user = UserFactory(role="trader")
    browser, other = browse(user=user), browse()
    browser.receive()
    other.receive()

    user.is_active = False
    user.save()

    assert closing_code(browser) == SIGNED_OUT
    assert other.until("ping")["type"] == "ping"


def test_who_signs_out_or_changes_the_password_is_cut_off(browse: Any) -> None:
    user = UserFactory()
    leaver, changer = browse(), browse(user=user)
    leaver.receive()
    changer.receive()

    Session.objects.filter(session_key=leaver.session_key).delete()
    user.set_password("another horse battery")
    user.save()

    assert closing_code(leaver) == SIGNED_OUT
    assert closing_code(changer) == SIGNED_OUT


@pytest.mark.parametrize(("message", "code"), [("{not json", 1008), ("[]", 1008), ("x" * 5000, 1009)])
def test_nonsense_ends_the_connection(browse: Any, message: str, code: int) -> None:
    browser = browse()
    browser.receive()

    browser.send(message)

    assert closing_code(browser) == code


def test_unknown_words_are_left_alone(browse: Any) -> None:
    browser = browse()
    browser.receive()

    browser.send({"type": "buy", "symbol": "BTCUSDT"})

    assert browser.until("ping")["sources"]["redis"] is True


def test_a_deploy_tells_the_browser_to_come_back(browse: Any, socket_server: SocketServer) -> None:
    browser = browse()
    browser.receive()

    socket_server.server.should_exit = True

    assert closing_code(browser) == 1012


def test_messages_are_the_same_through_any_protocol() -> None:

    PositionFactory()
    server = SocketServer(websocket_application, ws="websockets-sansio")
    browser = Browser(server)
    try:
        browser.receive()
        publish([price("150")])
        kinds = Counter(browser.receive()["type"] for _ in range(3))
        assert kinds["delta"] == 1
    finally:
        with suppress(ConnectionClosed):
            browser.close()
        server.stop()


def test_the_hub_forgets_who_left(browse: Any, socket_server: SocketServer) -> None:
    browser, other = browse(), browse(path="/ws/live/?bot=alpha")
    browser.receive()
    other.receive()
    (the_hub,) = (found for loop, found in hub._hubs.items() if loop.is_running())
    assert len(the_hub._views) == 2

    other.close()

    wait_for(lambda: len(the_hub._views) == 1)
    assert len(the_hub._watchers) == 1
