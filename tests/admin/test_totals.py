"""Totals: over the whole filtered set and exact, never of unlike currencies, never of live and demo together."""

import re
from decimal import Decimal

import pytest
from django.contrib import admin as django_admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.models import DailyPerformanceSummary, PortfolioSnapshot
from bots.models import AccountBalance, Bot, CashFlow, Fill, Order, Position, Trade
from tests.factories import BotFactory, CashFlowFactory, FillFactory, OrderFactory, PositionFactory, TradeFactory
from tradingdb.lib import totals as lib_totals
from tradingdb.management.model_pages import our_models

TRADES = "bots/trade"


def added_up(browser, path, **query):
    """Return the fragment's lines as (mode, currency, rows, exact sums), and its words."""
    answer = browser.get(f"/admin/{path}/totals/", query)
    assert answer.status_code == 200
    found, refusal = answer.context["totals"], answer.context["refusal"]
    lines = [
        (*line.group, line.rows, *(re.search(r'title="([^" ]+)', str(each)).group(1) for each in line.sums))
        for line in (found.lines if found else ())
    ]
    return lines, (found.note if found else "") or refusal


def test_totals_are_of_all_pages_and_of_the_filter_alone(admin, db):
    bot = BotFactory(bot_id="bot_1")
    for number in range(60):
        TradeFactory(bot=bot, gross_pnl=Decimal("0.1"), fees=Decimal("0.01"), trade_id=f"t{number}")
    TradeFactory(gross_pnl=1000)

    lines, note = added_up(admin, TRADES, bot__bot_id__exact="bot_1")

    assert lines == [("demo", "USDT", 60, "6", "0.6", "5.4")]
    assert note == ""


def test_sums_are_exact_to_the_last_digit(admin, db):
    bot = BotFactory()
    for amount in ("99999999999999999999.000000000000000001", "0.000000000000000001", "-0.1"):
        TradeFactory(bot=bot, gross_pnl=Decimal(amount), fees=0)

    lines, _ = added_up(admin, TRADES)

    assert lines[0][3] == "99999999999999999998.900000000000000002"


def test_unlike_currencies_are_never_added(admin, db):
    bot = BotFactory()
    TradeFactory(bot=bot, symbol="BTCUSDT", gross_pnl=5, fees=0)
    TradeFactory(bot=bot, symbol="ETHUSDT", gross_pnl=6, fees=0)
    TradeFactory(bot=bot, symbol="ETHBTC", gross_pnl=Decimal("0.5"), fees=0)

    lines, note = added_up(admin, TRADES)

    assert [line[:4] for line in lines] == [("demo", "BTC", 1, "0.5"), ("demo", "USDT", 2, "11")]
    assert note == "No sum over all: BTC and USDT are not added."


def test_live_demo_and_paper_are_never_added(admin, db):
    live, demo = BotFactory(deployment_mode="live"), BotFactory(deployment_mode="demo")
    TradeFactory(bot=live, gross_pnl=1, fees=0)
    TradeFactory(bot=live, gross_pnl=2, fees=0, is_paper_trade=True)
    TradeFactory(bot=demo, gross_pnl=4, fees=0)
    TradeFactory(bot=demo, gross_pnl=8, fees=0, is_paper_trade=True)

    lines, note = added_up(admin, TRADES)

    assert [line[:4] for line in lines] == [
        ("demo", "USDT", 2, "12"), ("live", "USDT", 1, "1"), ("live on paper", "USDT", 1, "2"),
    ]  # fmt: skip
    assert note == "No sum over all: demo and live and live on paper are not added."


def test_a_cash_flow_is_in_the_currency_it_says_itself(admin, db):
    bot = BotFactory()
    CashFlowFactory(bot=bot, amount=100)
    CashFlowFactory(bot=bot, amount=7, currency="EUR")
    CashFlowFactory(bot=bot, kind="withdrawal", amount=-30)

    lines, _ = added_up(admin, "bots/cashflow")

    assert lines == [("demo", "EUR", 1, "7"), ("demo", "USDT", 2, "70")]


def test_bots_add_up_by_mode_and_currency(admin, db):
    BotFactory(initial_capital=1, current_equity=None, total_pnl=0)
    BotFactory(initial_capital=2, current_equity=5, total_pnl=-1)
    BotFactory(initial_capital=4, current_equity=4, currency="BTC")
    BotFactory(initial_capital=8, current_equity=8, deployment_mode="live")

    lines, _ = added_up(admin, "bots/bot")

    assert [line[:5] for line in lines] == [
        ("demo", "BTC", 1, "4", "4"), ("demo", "USDT", 2, "3", "5"), ("live", "USDT", 1, "8", "8"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "make", "columns", "expected"),
    [
        ("bots/fill", FillFactory, {"realized_pnl": 3, "fee_quote": 1}, ("3", "1")),
        ("bots/order", OrderFactory, {"filled_notional": 9, "fees": 2}, ("9", "2")),
        ("bots/position", PositionFactory, {"unrealized_pnl": 2, "realized_pnl": 1, "fees": 1}, ("2", "1", "1", "3")),
    ],
)
def test_other_ledgers_add_up_too(admin, db, path, make, columns, expected):
    make(**columns)

    lines, _ = added_up(admin, path)

    assert lines == [("demo", "USDT", 1, *expected)]


@pytest.mark.django_db
def test_a_row_without_a_currency_is_added_to_none():
    """A view's row over unlike money has no currency and no sum."""
    page = django_admin.site.get_model_admin(DailyPerformanceSummary)

    assert page.totals_group(None, {"mode": "demo", "currency": None}) == ("demo", "")
    assert lib_totals.note_on([lib_totals.Group("demo", ""), lib_totals.Group("demo", "USDT")]) == (
        "No sum over all: USDT and an unknown currency are not added."
    )


def test_only_what_means_something_is_added():
    with_totals = {model for model in our_models() if django_admin.site.get_model_admin(model).totals}

    assert with_totals >= {Bot, Trade, Fill, Order, Position, CashFlow}
    assert not with_totals & {AccountBalance, PortfolioSnapshot}, "balances of different times are no sum"


def test_what_takes_too_long_is_refused_and_says_what_to_do(admin, db, monkeypatch):
    TradeFactory()
    monkeypatch.setattr(lib_totals, "TIME_LIMIT_MS", 20)
    slow = Trade.objects.extra(where=["(SELECT true FROM pg_sleep(1))"])
    monkeypatch.setattr(django_admin.site.get_model_admin(Trade), "filtered", lambda request, query: slow)

    lines, words = added_up(admin, TRADES)

    assert lines == []
    assert words == lib_totals.TOO_LONG
    assert Trade.objects.count() == 1, "the transaction goes on"


def test_the_time_limit_ends_with_the_totals(admin, db):
    TradeFactory()
    before = time_limit()

    added_up(admin, TRADES)

    assert time_limit() == before != "3s"


def time_limit():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


def test_the_list_itself_adds_nothing_up(admin, db):
    TradeFactory(symbol="BTCUSDT")

    with CaptureQueriesContext(connection) as queries:
        whole = admin.get(f"/admin/{TRADES}/").content.decode()
        filtered = admin.get(f"/admin/{TRADES}/?symbol=BTCUSDT").content.decode()

    assert not [query for query in queries.captured_queries if "SUM(" in query["sql"]]
    assert 'hx-get="/admin/bots/trade/totals/?symbol=BTCUSDT" hx-trigger="load"' in filtered
    assert 'hx-trigger="load"' not in whole
    assert 'hx-get="/admin/bots/trade/totals/?"' in whole


def test_totals_need_the_right_to_see_and_a_filter_that_is_one(viewer, client, db):
    TradeFactory(gross_pnl=3, fees=0)

    assert added_up(viewer, TRADES)[0][0][3] == "3"
    assert added_up(viewer, TRADES, no_such=1) == ([], "One of the filters cannot be used, so there is no sum.")
    assert client.get(f"/admin/{TRADES}/totals/").status_code == 302
    assert viewer.get("/admin/bots/signal/totals/").status_code == 302, "no totals there: the address names no row"
