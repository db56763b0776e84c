"""No statement of the write path reads a large table from end to end, whatever a bot sends."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.services.actions import SYSTEM
from bots.models import Fill
from bots.services.tokens import token_create
from tradingdb.management.synthetic import Books, register_bots, store_trades

pytestmark = pytest.mark.unsound_ledger("generated books have no metrics of their days")
TRADES = 4000
# What a year leaves thousands of rows in.
LARGE = ("orders", "order_events", "fills", "positions", "trades")
BOT = "generated_0002"


@pytest.fixture(scope="module")
def books(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """Books of five bots with fresh statistics, in a transaction around all tests of this file."""
    with django_db_blocker.unblock():
        around = transaction.atomic()
        around.__enter__()
        made = Books(bots=5, trades=TRADES, candles=0, days=30, end=timezone.now() - timedelta(hours=1))
        for _ in store_trades(made, register_bots(made)):
            pass
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {', '.join(LARGE)}")
        token = token_create(bot_id=BOT, actor=SYSTEM).token
        old = Fill.objects.filter(bot_id=BOT).order_by("-executed_at")[50]
    yield {"token": token, "old": old}
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)


def order(number: int, **told: Any) -> dict[str, Any]:
    return {
        "order_id": f"new-{number}",
        "symbol": "BTCUSDT",
        "side": "buy",
        "order_type": "market",
        "quantity": "1",
    } | told


def fill(number: int, **told: Any) -> dict[str, Any]:
    now = timezone.now().isoformat()
    return {
        "fill_id": f"fill-{number}",
        "order_id": "new-1",
        "price": "100",
        "quantity": "0.25",
        "executed_at": now,
    } | told


def calls(old: Fill) -> list[tuple[str, str, Any]]:
    """Return what a bot sends in an hour, the rare things too: repeats, late fills, flips, strays."""
    now, late = timezone.now(), (old.executed_at + timedelta(milliseconds=1)).isoformat()
    signal = {"signal_id": "s1", "symbol": "BTCUSDT", "signal_type": "long", "price": "100", "strategy": "x"}
    balance = {
        "balance_id": "b1", "total_balance": "1", "available_balance": "1", "equity": "1", "timestamp": now.isoformat()
    }  # fmt: skip
    first = fill(1)
    event = {"event_id": "e1", "event_type": "START", "event_level": "INFO", "message": "m"}
    return [
        ("POST", "/heartbeat", {"equity": "1000"}),
        ("POST", "/signals", signal),
        ("POST", "/signals", signal),
        ("POST", "/risk/check", order(0)),
        ("POST", "/orders", order(1, signal_id="s1")),
        ("POST", "/orders", order(1, signal_id="s1")),
        ("POST", "/orders", order(2, intent="report", side="sell", quantity="3")),
        ("PATCH", "/orders/new-2", {"status": "submitted", "exchange_order_id": "x2"}),
        ("POST", "/fills", first),
        ("POST", "/fills", first),
        ("POST", "/fills", fill(2, exchange_trade_id="t2", fee="0.1", fee_currency="USDT")),
        ("POST", "/fills", fill(3, order_id="new-2", quantity="2")),
        ("POST", "/fills", fill(4, order_id="not-yet-there")),
        ("POST", "/fills", fill(5, order_id=old.order_id, executed_at=late)),
        ("POST", "/balances", balance),
        ("POST", "/events", {"events": [event]}),
        ("POST", "/batch", {"operations": [{"op": "order", "data": order(3)}, {"op": "event", "data": event}]}),
        ("POST", "/positions/reported", {"as_of": now.isoformat(), "positions": []}),
    ]


def scans(sql: str) -> list[str]:
    """Return the large tables that the plan of a statement reads whole."""
    if not any(f" {table}" in sql or f'"{table}"' in sql for table in LARGE):
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    nodes, whole = [(json.loads(found) if isinstance(found, str) else found)[0]["Plan"]], []
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
            whole.append(node["Relation Name"])
    return whole


@pytest.mark.django_db
def test_every_statement_finds_its_rows_by_an_index(books):
    browser = Client(headers={"Authorization": f"Bearer {books['token']}"})
    statements = 0
    for method, path, body in calls(books["old"]):
        with CaptureQueriesContext(connection) as captured:
            answer = browser.generic(method, f"/api/v1{path}", json.dumps(body), content_type="application/json")

        assert answer.status_code < 300, (path, answer.content)
        for sql in {each["sql"] for each in captured.captured_queries}:
            if sql.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
                statements += 1
                assert scans(sql) == [], (path, sql)

    assert statements > 60
