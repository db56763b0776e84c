"""The plans of the write path: all that a bot sends, and which of its statements read a large table whole."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import ProgrammingError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots.services.scope import bot_scope

# What a year leaves thousands of rows in.
LARGE = ("orders", "order_events", "fills", "positions", "trades")
WRITTEN_BY_PLANS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


class Old(NamedTuple):
    """A fill that is in the books for a while: a late one goes in behind it."""

    bot_id: str
    order_id: str
    symbol: str
    executed_at: datetime


class Planned(NamedTuple):
    """A statement of one call, and the large tables that its plan reads whole."""

    path: str
    sql: str
    whole: list[str]


def order(number: int, symbol: str, **told: Any) -> dict[str, Any]:
    """Return an order as a bot tells it."""
    return {
        "order_id": f"new-{number}", "symbol": symbol, "side": "buy", "order_type": "market", "quantity": "1"
    } | told  # fmt: skip


def fill(number: int, **told: Any) -> dict[str, Any]:
    """Return a fill as a bot tells it."""
    now = timezone.now().isoformat()
    return {
        "fill_id": f"fill-{number}", "order_id": "new-1", "price": "100", "quantity": "0.25", "executed_at": now
    } | told  # fmt: skip


def calls(old: Old) -> list[tuple[str, str, Any]]:
    """Return what a bot sends in an hour, the rare things too: repeats, late fills, flips, strays."""
    now, late = timezone.now(), (old.executed_at + timedelta(milliseconds=1)).isoformat()
    signal = {"signal_id": "s1", "symbol": old.symbol, "signal_type": "long", "price": "100", "strategy": "x"}
    balance = {
        "balance_id": "b1", "total_balance": "1", "available_balance": "1", "equity": "1", "timestamp": now.isoformat()
    }  # fmt: skip
    first = fill(1)
    event = {"event_id": "e1", "event_type": "START", "event_level": "INFO", "message": "m"}
    several = [
        {"op": "order", "data": order(3, old.symbol, intent="report")},
        {"op": "event", "data": event},
        *({"op": "fill", "data": fill(number, order_id="new-3")} for number in (31, 32, 33)),
    ]
    return [
        ("POST", "/heartbeat", {"equity": "1000"}),
        ("POST", "/signals", signal),
        ("POST", "/signals", signal),
        ("POST", "/risk/check", order(0, old.symbol)),
        ("POST", "/orders", order(1, old.symbol, signal_id="s1")),
        ("POST", "/orders", order(1, old.symbol, signal_id="s1")),
        ("POST", "/orders", order(2, old.symbol, intent="report", side="sell", quantity="3")),
        ("PATCH", "/orders/new-2", {"status": "submitted", "exchange_order_id": "x2"}),
        ("POST", "/fills", first),
        ("POST", "/fills", first),
        ("POST", "/fills", fill(2, exchange_trade_id="t2", fee="0.1", fee_currency="USDT")),
        ("POST", "/fills", fill(3, order_id="new-2", quantity="2")),
        ("POST", "/fills", fill(4, order_id="not-yet-there")),
        ("POST", "/fills", fill(5, order_id=old.order_id, executed_at=late)),
        ("POST", "/balances", balance),
        ("POST", "/events", {"events": [event]}),
        ("POST", "/batch", {"operations": several}),
        ("POST", "/positions/reported", {"as_of": now.isoformat(), "positions": []}),
    ]


def planned(token: str, old: Old) -> Iterator[Planned]:
    """Make every call, and yield each of its statements with what its plan reads whole."""
    browser = Client(headers={"Authorization": f"Bearer {token}"})
    for method, path, body in calls(old):
        with CaptureQueriesContext(connection) as captured:
            answer = browser.generic(method, f"/api/v1{path}", json.dumps(body), content_type="application/json")
        if answer.status_code >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.content!r}")
        for sql in sorted({each["sql"] for each in captured.captured_queries}):
            if sql.lstrip().upper().startswith(WRITTEN_BY_PLANS):
                yield Planned(path, sql, scans(sql, bot_id=old.bot_id))


def scans(sql: str, *, bot_id: str | None = None) -> list[str]:
    """Return the large tables that the plan of a statement reads whole.

    bot_id: whose rights the statement has; row security is a part of its plan.
    """
    if not any(f" {table}" in sql or f'"{table}"' in sql for table in LARGE):
        return []
    nodes, whole = [_plan(sql, bot_id)], []
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
            whole.append(node["Relation Name"])
    return whole


def _plan(sql: str, bot_id: str | None) -> dict[str, Any]:
    if bot_id is not None:
        try:
            with bot_scope(bot_id):
                return _explained(sql)
        except ProgrammingError:
            # The application's own statement, which no bot may send.
            pass
    with transaction.atomic():
        return _explained(sql)


def _explained(sql: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan
