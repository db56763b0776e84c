"""Lists of large tables: pages by key, exact search, filters in the URL, money well formatted."""

from datetime import timedelta
from decimal import Decimal

import pytest

from bots.models import Order
from tests.factories import NOON, BotFactory, OrderFactory, TradeFactory

TRADES, ORDERS = "bots/trade", "bots/order"


def walk(browser, path, start, link):
    """Follow a link from page to page; return the rows of each page."""
    pages, url = [], start
    while url:
        cl = browser.get(f"/admin/{path}/{url}").context["cl"]
        pages.append([row.pk for row in cl.result_list])
        url = getattr(cl, link)
        assert len(pages) < 20
    return pages


@pytest.fixture
def equal_times(admin):
    """130 orders of one bot, of which many were made at the same moment."""
    bot = BotFactory(bot_id="bot_1")
    for number in range(130):
        OrderFactory(bot=bot, order_id=f"o{number}", created_at=NOON + timedelta(minutes=number // 40))
    return list(Order.objects.order_by("-created_at", "-pk").values_list("pk", flat=True))


def test_pages_by_key_show_each_row_once_in_both_directions(admin, equal_times):
    down = walk(admin, ORDERS, "?", "older_url")
    up = walk(admin, ORDERS, "?end=1", "newer_url")

    assert [len(page) for page in down] == [50, 50, 30]
    assert [pk for page in down for pk in page] == equal_times
    assert [len(page) for page in up] == [50, 50, 30]
    assert [pk for page in reversed(up) for pk in page] == equal_times


def test_a_page_keeps_its_place_while_newer_rows_arrive(admin, equal_times):
    first = admin.get(f"/admin/{ORDERS}/").context["cl"]
    OrderFactory(bot_id="bot_1", order_id="late", created_at=NOON + timedelta(hours=1))

    second = admin.get(f"/admin/{ORDERS}/{first.older_url}").context["cl"]

    assert [row.pk for row in second.result_list] == equal_times[50:100]


def test_links_between_pages_keep_the_filters(admin, equal_times):
    OrderFactory(order_id="foreign")

    cl = admin.get(f"/admin/{ORDERS}/", {"bot__bot_id__exact": "bot_1"}).context["cl"]

    assert "bot__bot_id__exact=bot_1" in cl.older_url
    assert walk(admin, ORDERS, "?bot__bot_id__exact=bot_1", "older_url") == [
        equal_times[:50], equal_times[50:100], equal_times[100:],
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["after=nonsense", "after=nonsense~1", "before=2026-01-01~x", "after="])
def test_a_key_that_is_none_leads_back_to_the_list(admin, equal_times, key):
    answer = admin.get(f"/admin/{ORDERS}/?{key}", follow=True)

    assert answer.status_code == 200
    assert answer.redirect_chain == [(f"/admin/{ORDERS}/?e=1", 302)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "o7"}, ["o7"]),
        ({"q": " o7 "}, ["o7"]),
        ({"q": "O7"}, []),
        ({"q": "o"}, []),
        ({"q": "ex-7"}, ["o8"]),
        ({"symbol": "ETHUSDT"}, ["o9"]),
        ({"created_at_from": "2026-11-20", "created_at_to": "2026-11-20"}, ["o9"]),
        ({"created_at_to": "2026-11-18"}, []),
        ({"created_at_from": "nonsense", "symbol": "ETHUSDT"}, ["o9"]),
    ],
)
def test_search_and_filters_find_exactly(admin, query, found):
    bot = BotFactory(bot_id="bot_1")
    OrderFactory(bot=bot, order_id="o7")
    OrderFactory(bot=bot, order_id="o8", exchange_order_id="ex-7")
    # The last moment of the day belongs to it.
    OrderFactory(
        bot=bot, order_id="o9", symbol="ETHUSDT", created_at=NOON + timedelta(hours=35, minutes=59, seconds=59)
    )

    cl = admin.get(f"/admin/{ORDERS}/", query).context["cl"]

    assert [row.order_id for row in cl.result_list] == found


@pytest.mark.parametrize("query", ["symbol=a%00b", "q=%00", "bot__bot_id__exact=%00"])
def test_text_that_postgresql_cannot_hold_leads_back_to_the_list(admin, equal_times, query):
    answer = admin.get(f"/admin/{ORDERS}/?{query}", follow=True)

    assert answer.redirect_chain == [(f"/admin/{ORDERS}/?e=1", 302)]


def test_symbol_filter_offers_the_symbols_there_are(admin):
    for symbol in ("BTCUSDT", "ETHUSDT", "ETHUSDT", "ADAUSDT"):
        TradeFactory(symbol=symbol)

    [spec] = [each for each in admin.get(f"/admin/{TRADES}/").context["cl"].filter_specs if each.title == "symbol"]

    assert [value for value, _ in spec.lookup_choices] == ["ADAUSDT", "BTCUSDT", "ETHUSDT"]


def test_list_shows_money_with_sign_arrow_and_full_figure(admin):
    TradeFactory(trade_id="win", gross_pnl=Decimal("1234.567890123"), fees=Decimal("0.5"), pnl_pct=Decimal("0.0512"))
    TradeFactory(trade_id="loss", gross_pnl=Decimal("-2"), fees=0, pnl_pct=Decimal("-0.2"))

    page = admin.get(f"/admin/{TRADES}/").content.decode()

    assert (
        '<span class="num pnl pnl-up" title="1234.067890123">'
        '<span class="arrow" aria-hidden="true">▲</span>+1,234.07</span>' in page
    )
    assert '<span class="num pnl pnl-down" title="-2"><span class="arrow" aria-hidden="true">▼</span>-2</span>' in page
    assert "2026-11-19 12:00:00Z" in page


def test_filters_in_force_are_named_each_with_its_way_out(admin, equal_times):
    query = {"bot__bot_id__exact": "bot_1", "created_at_from": "2026-11-01", "q": "o7"}

    chips = admin.get(f"/admin/{ORDERS}/", query).context["cl"].chips()

    assert [chip.text for chip in chips] == ["bot: bot_1", "created at from: 2026-11-01", "search: o7"]
    assert chips[0].url == "?created_at_from=2026-11-01&q=o7"


def test_an_empty_list_says_whether_filters_or_the_world_are_to_blame(admin):
    filtered = admin.get(f"/admin/{ORDERS}/", {"symbol": "BTCUSDT"}).content.decode()
    empty = admin.get(f"/admin/{ORDERS}/").content.decode()

    assert "No row matches these filters." in filtered
    assert "Bots report these rows; none has come yet." in empty
