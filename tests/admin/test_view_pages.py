"""The pages of the views: how old is what they show, and lists that run along an index of what they read."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics.models import DailyOhlcv, ViewRefresh
from analytics.services.views import refresh_views
from tests.admin.test_plans import plan_nodes
from tests.factories import NOON, BotFactory, CandleFactory, TradeFactory, ViewRefreshFactory

LISTS = {
    "analytics_activepositionsummary": "active_positions_summary",
    "analytics_dailyperformancesummary": "daily_performance_summary",
    "analytics_systemhealthdashboard": "system_health_dashboard",
    "analytics_dailyohlcv": "daily_ohlcv",
}
each_list = pytest.mark.parametrize(("page", "view"), LISTS.items())


def age_of(answer):
    """Return the words of the age, and whether they are red."""
    age = answer.context["view_age"]
    text = answer.content.decode()
    assert age.words in text
    return str(age.words), 'class="view-age is-stale"' in text


@each_list
def test_list_tells_the_age_of_what_it_shows(admin, page, view):
    refresh_views(timezone.now() - timedelta(seconds=42), [view])

    words, is_red = age_of(admin.open(f"{page}_changelist"))

    refreshed = ViewRefresh.objects.get().refreshed_at
    assert words.startswith("as of <time ")
    assert f">{refreshed:%Y-%m-%d %H:%M:%S}Z</time>, 4" in words
    assert words.endswith(" s ago")
    assert is_red is False


@each_list
def test_age_is_red_after_three_periods(admin, page, view):
    refresh_views(timezone.now() - timedelta(hours=2), [view])

    words, is_red = age_of(admin.open(f"{page}_changelist"))

    assert words.endswith("2 h ago")
    assert is_red is True


@each_list
def test_list_says_that_a_view_was_never_refreshed_and_why(admin, page, view):
    assert age_of(admin.open(f"{page}_changelist")) == ("Not refreshed yet by the job.", True)

    ViewRefreshFactory(view_name=view, refreshed_at=None, error="<b>no room</b>")

    text = admin.open(f"{page}_changelist").content.decode()
    assert "The last refresh failed: &lt;b&gt;no room&lt;/b&gt;" in text


def test_refreshes_show_what_is_stale(admin):
    now = timezone.now()
    for name, age in (("daily_ohlcv", 1), ("active_positions_summary", 600)):
        ViewRefreshFactory(view_name=name, refreshed_at=now - timedelta(seconds=age))

    text = admin.open("analytics_viewrefresh_changelist").content.decode()

    assert '<span class="badge badge-bad">10 min</span>' in text
    assert text.count('class="badge badge-ok"') == 1


def test_unlike_money_stands_line_by_line(admin):
    for mode, equity in (("demo", "100"), ("live", "7.5")):
        bot = BotFactory(deployment_mode=mode, current_equity=Decimal(equity))
        TradeFactory(bot=bot, entry_time=timezone.now(), exit_time=None, gross_pnl=Decimal(3))
    refresh_views(NOON)

    text = admin.open("analytics_systemhealthdashboard_changelist").content.decode()

    assert '<span class="num" title="100 USDT">100 <span class="unit">USDT</span></span> demo<br>' in text
    assert '<span class="num" title="7.5 USDT">7.5 <span class="unit">USDT</span></span> live' in text
    assert "107.5" not in text


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETH/USDT:USDT", "BRK.B-1"])
def test_a_day_is_found_by_its_key(admin, symbol):
    CandleFactory(symbol=symbol, exchange="some_where.x")
    CandleFactory(symbol=symbol)
    refresh_views(NOON)

    for day in DailyOhlcv.objects.all():
        page = admin.open("analytics_dailyohlcv_change", day.pk)

        assert page.status_code == 200
        assert page.context["original"] == day


@pytest.mark.parametrize("key", ["nonsense", "2026-11-19|BTCUSDT", "2026-11-19|BTCUSDT|nowhere", "||"])
def test_a_key_that_is_none_leads_back(admin, key):
    CandleFactory()
    refresh_views(NOON)

    assert admin.open("analytics_dailyohlcv_change", key).status_code == 302


# A year of ten symbols on two exchanges, in two intervals.
DAYS = """
    INSERT INTO analytics.daily_candles
        (exchange, symbol, interval, day, open, high, low, close, volume, candles, coverage, is_shown)
    SELECT e.name, 'SYM' || s, i.name, TIMESTAMPTZ '2026-01-01 00:00Z' + d * INTERVAL '24 hours', 1, 1, 1, 1, 1,
        i.candles, 1, i.name = '1h'
    FROM generate_series(0, 299) d, generate_series(0, 9) s, (VALUES ('bybit'), ('binance')) e(name),
        (VALUES ('1m', 1000), ('1h', 24)) i(name, candles)
"""


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"end": "1"},
        {"after": "2026-06-01T00:00:00+00:00~2026-06-01|SYM3|bybit"},
        {"day_from": "2026-03-01", "day_to": "2026-03-02"},
        {"symbol": "sym3"},
        {"exchange": "bybit", "symbol": "sym3"},
    ],
)
def test_no_query_of_the_days_reads_or_sorts_them_all(admin, query):
    with connection.cursor() as cursor:
        cursor.execute(DAYS)
        cursor.execute("ANALYZE analytics.daily_candles")

    with CaptureQueriesContext(connection) as queries:
        page = admin.open("analytics_dailyohlcv_changelist", **query)

    rows = page.context["cl"].result_list
    assert {row.interval for row in rows} == {"1h"}
    statements = [each["sql"] for each in queries.captured_queries if '"daily_ohlcv"."id"' in each["sql"]]
    assert statements
    for sql in statements:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
            plan = cursor.fetchone()[0]
        for node in plan_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]):
            assert node["Node Type"] not in ("Seq Scan", "Hash"), sql
            assert not (node["Node Type"] == "Sort" and node["Plan Rows"] > 600), sql
