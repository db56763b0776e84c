"""PostgreSQL never reads or sorts a whole table for a list, whatever filter, page or search is asked for.

A handful of rows proves nothing, for there a scan is the best plan: each large table gets thousands.
"""

import json
from urllib.parse import urlencode

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.factories import BotFactory

ROWS = 6000
BOTS = 20
SPREAD = "TIMESTAMPTZ '2026-01-01 00:00Z' + n * INTERVAL '1 minute'"
WHO = f"'bot_' || n % {BOTS}, 'SYM' || n % 10"
# The rows of a year in small: enough that PostgreSQL would rather not read them all.
EACH = f"FROM generate_series(1, {ROWS}) n"
BIG = {
    "trades": "INSERT INTO trades (bot_id, symbol, trade_id, side, quantity, entry_price, position_size_usd, "
    f"entry_time) SELECT {WHO}, 't' || n, 'long', 1, 100, 100, {SPREAD} {EACH}",
    "orders": "INSERT INTO orders (bot_id, symbol, order_id, order_type, side, quantity, created_at) "
    f"SELECT {WHO}, 'o' || n, 'market', 'buy', 1, {SPREAD} {EACH}",
    "fills": "INSERT INTO fills (bot_id, symbol, fill_id, order_id, account_id, side, price, quantity, executed_at) "
    f"SELECT {WHO}, 'f' || n, 'o' || n, (SELECT min(account_id) FROM bots), 'buy', 100, 1, {SPREAD} {EACH}",
    "market_data": "INSERT INTO market_data (exchange, symbol, interval, timestamp, open_price, high_price, "
    f"low_price, close_price, volume) SELECT 'bybit', 'SYM' || n % 10, '1m', {SPREAD}, 1, 1, 1, 1, 1 {EACH}",
    "order_book_snapshots": "INSERT INTO order_book_snapshots (exchange, symbol, timestamp, bids, asks, "
    f"last_update_id) SELECT 'bybit', 'SYM' || n % 10, {SPREAD}, '[[\"1\", \"1\"]]', '[]', n {EACH}",
    "technical_indicators": "INSERT INTO technical_indicators (exchange, symbol, timeframe, timestamp, indicator_name, "
    f"value) SELECT 'bybit', 'SYM' || n % 10, '1m', {SPREAD}, 'rsi', 50 {EACH}",
    "system_events": "INSERT INTO system_events (bot_id, event_time, event_type, event_level, message) "
    f"SELECT 'bot_' || n % {BOTS}, {SPREAD}, 'ERROR', 'ERROR', 'm' {EACH}",
}
TRADES, ORDERS, FILLS = "bots/trade", "bots/order", "bots/fill"
CANDLES, EVENTS = "marketdata/candle", "audit/systemevent"
BOOKS, INDICATORS = "marketdata/orderbooksnapshot", "marketdata/technicalindicator"
DAY = {"from": "2026-01-03", "to": "2026-01-03"}
ONE_BOT = {"bot__bot_id__exact": "bot_7"}


def days(column):
    return {f"{column}_{edge}": day for edge, day in DAY.items()}


QUERIES = [
    (TRADES, {}), (TRADES, {"end": "1"}), (TRADES, ONE_BOT), (TRADES, {"symbol": "SYM3"}), (TRADES, {"q": "t77"}),
    (TRADES, ONE_BOT | {"symbol": "SYM7"}), (TRADES, days("entry_time")), (TRADES, {"state": "open"}),
    (TRADES, {"after": "2026-01-02T00:00:00+00:00~900"}), (TRADES, {"before": "2026-01-02T00:00:00+00:00~900"}),
    (ORDERS, {}), (ORDERS, {"end": "1"}), (ORDERS, ONE_BOT), (ORDERS, {"symbol": "SYM3"}), (ORDERS, {"q": "o77"}),
    (ORDERS, {"status__exact": "pending"}), (ORDERS, days("created_at")),
    (FILLS, {}), (FILLS, {"end": "1"}), (FILLS, ONE_BOT), (FILLS, {"q": "f77"}), (FILLS, days("executed_at")),
    (CANDLES, {}), (CANDLES, {"end": "1"}), (CANDLES, days("timestamp")),
    (CANDLES, {"exchange": "bybit", "symbol": "sym3", "interval": "1m"}),
    (BOOKS, {}), (BOOKS, {"end": "1"}), (BOOKS, {"symbol": "sym3"}), (BOOKS, days("timestamp")),
    (INDICATORS, {}), (INDICATORS, {"end": "1"}), (INDICATORS, days("timestamp")),
    (INDICATORS, {"symbol": "sym3", "timeframe": "1m", "indicator_name": "rsi"}),
    (EVENTS, {}), (EVENTS, {"end": "1"}), (EVENTS, {"bot_id": "bot_7"}), (EVENTS, {"event_level__exact": "ERROR"}),
    (EVENTS, days("event_time")),
]  # fmt: skip


def plan_nodes(plan):
    """Return every node of a plan, the outermost first."""
    yield plan
    for inner in plan.get("Plans", []):
        yield from plan_nodes(inner)


@pytest.fixture(scope="module")
def big_house(django_db_setup, django_db_blocker):
    """Tables with thousands of rows and fresh statistics, in a transaction around all tests of this file."""
    with django_db_blocker.unblock():
        around = transaction.atomic()
        around.__enter__()
        for number in range(BOTS):
            BotFactory(bot_id=f"bot_{number}")
        with connection.cursor() as cursor:
            for table, sql in BIG.items():
                cursor.execute(sql)
                cursor.execute(f"ANALYZE {table}")
    yield
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)


def name_of(value):
    return value if isinstance(value, str) else urlencode(value)


@pytest.mark.parametrize(("path", "query"), QUERIES, ids=name_of)
def test_no_query_of_a_list_reads_or_sorts_a_whole_table(big_house, admin, path, query):
    with CaptureQueriesContext(connection) as queries:
        page = admin.get(f"/admin/{path}/", query)

    assert page.status_code == 200
    assert page.context["cl"].result_list
    for sql in (each["sql"] for each in queries.captured_queries):
        if not any(f'"{table}"' in sql for table in BIG):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
            plan = cursor.fetchone()[0]
        for node in plan_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]):
            relation = node.get("Relation Name", "")
            assert not (node["Node Type"] == "Seq Scan" and relation.startswith(tuple(BIG))), sql
            # An incremental sort only orders equal times; a sort of a few found rows is bounded by its estimate.
            assert not (node["Node Type"] == "Sort" and node["Plan Rows"] > ROWS / 10), sql


def test_list_says_about_how_many_rows_there_are(big_house, admin):
    unfiltered = admin.get(f"/admin/{CANDLES}/")
    filtered = admin.get(f"/admin/{CANDLES}/", {"symbol": "SYM3"})

    assert "about 6,000 rows in all" in unfiltered.content.decode()
    assert "rows in all" not in filtered.content.decode()
