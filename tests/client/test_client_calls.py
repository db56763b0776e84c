"""What travels: every call sends what the HTTP contract says, and reads what it answers."""

import inspect
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from outside_world import FILL, ORDER, TOKEN, Reply

from tradingdb_client import AsyncClient, Client

NOON_IN_HELSINKI = datetime(2026, 11, 20, 12, 30, tzinfo=timezone(timedelta(hours=2)))
NOON = "2026-11-20T10:30:00Z"

WRITES = [
    ("heartbeat", (), {}, "POST /heartbeat", {}),
    (
        "heartbeat",
        (),
        {"equity": Decimal("1E+3"), "error_count": 2, "latency_ms": 12.5, "acknowledged_halt": 7},
        "POST /heartbeat",
        {"equity": "1000", "error_count": 2, "latency_ms": 12.5, "acknowledged_halt": 7},
    ),
    (
        "signal",
        (),
        {
            "signal_id": "s-1",
            "symbol": "BTCUSDT",
            "signal_type": "long",
            "price": 100,
            "strategy": "ema",
            "strength": Decimal("0.80"),
            "timestamp": NOON_IN_HELSINKI,
            "indicators": {"ema": Decimal("1E-7"), "fast": 9, "at": NOON_IN_HELSINKI},
        },
        "POST /signals",
        {
            "signal_id": "s-1",
            "symbol": "BTCUSDT",
            "signal_type": "long",
            "price": "100",
            "strategy": "ema",
            "strength": "0.80",
            "timestamp": NOON,
            "indicators": {"ema": "0.0000001", "fast": 9, "at": NOON},
        },
    ),
    ("risk_check", (), ORDER, "POST /risk/check", ORDER),
    ("order", (), ORDER, "POST /orders", {**ORDER, "intent": "request"}),
    (
        "order",
        (),
        {**ORDER, "intent": "report", "status": "filled", "leverage": 3, "reduce_only": True, "price": None},
        "POST /orders",
        {**ORDER, "intent": "report", "status": "filled", "leverage": 3, "reduce_only": True},
    ),
    (
        "order_update",
        ("o/1?x",),
        {"status": "canceled", "retry_count": 1, "at": NOON_IN_HELSINKI},
        "PATCH /orders/o%2F1%3Fx",
        {"status": "canceled", "retry_count": 1, "at": NOON},
    ),
    (
        "fill",
        (),
        {**FILL, "fill_id": "f-1", "fee": Decimal("-0.00001"), "order": {**ORDER, "quantity": Decimal("2E0")}},
        "POST /fills",
        {**FILL, "fill_id": "f-1", "fee": "-0.00001", "order": {**ORDER, "quantity": "2"}},
    ),
    (
        "position_update",
        ("p-1",),
        {"stop_loss": Decimal("9.5"), "take_profit": None, "trailing_stop": {"distance": "0.02"}},
        "PATCH /positions/p-1",
        {"stop_loss": "9.5", "take_profit": None, "trailing_stop": {"distance": "0.02"}},
    ),
    (
        "trade",
        (),
        {
            "trade_id": "t-1",
            "symbol": "BTCUSDT",
            "side": "long",
            "quantity": "1",
            "entry_price": 10,
            "entry_time": NOON_IN_HELSINKI,
        },
        "POST /trades",
        {
            "trade_id": "t-1",
            "symbol": "BTCUSDT",
            "side": "long",
            "quantity": "1",
            "entry_price": "10",
            "entry_time": NOON,
        },
    ),
    (
        "balance",
        (),
        {
            "balance_id": "b-1",
            "total_balance": "10",
            "available_balance": "9",
            "equity": "11",
            "timestamp": NOON,
            "snapshot_type": "deposit",
            "amount": 5,
        },
        "POST /balances",
        {
            "balance_id": "b-1",
            "total_balance": "10",
            "available_balance": "9",
            "equity": "11",
            "timestamp": NOON,
            "snapshot_type": "deposit",
            "amount": "5",
        },
    ),
    (
        "report_positions",
        ([{"symbol": "BTCUSDT", "side": "long", "size": 2, "avg_entry_price": None}],),
        {"as_of": NOON_IN_HELSINKI},
        "POST /positions/reported",
        {"positions": [{"symbol": "BTCUSDT", "side": "long", "size": "2"}], "as_of": NOON},
    ),
    (
        "events",
        ([{"event_id": "e-1", "event_type": "start", "event_level": "info", "message": "up", "event_time": NOON}],),
        {},
        "POST /events",
        {
            "events": [
                {"event_id": "e-1", "event_type": "start", "event_level": "info", "message": "up", "event_time": NOON}
            ]
        },
    ),
    (
        "prices",
        ([{"symbol": "BTCUSDT", "price": Decimal("1E+5"), "timestamp": NOON_IN_HELSINKI}],),
        {},
        "POST /prices",
        {"prices": [{"symbol": "BTCUSDT", "price": "100000", "timestamp": NOON}]},
    ),
    (
        "candles",
        (),
        {
            "exchange": "x",
            "symbol": "BTCUSDT",
            "interval": "5m",
            "candles": [[NOON_IN_HELSINKI, 1, "2", Decimal("0.5"), 1, 10, None, 42]],
        },
        "POST /candles",
        {
            "exchange": "x",
            "symbol": "BTCUSDT",
            "interval": "5m",
            "candles": [[NOON, "1", "2", "0.5", "1", "10", None, 42]],
        },
    ),
]


@pytest.mark.parametrize(("name", "args", "fields", "request_line", "body"), WRITES)
def test_a_write_sends_the_body_of_the_contract(connect, server, name, args, fields, request_line, body):
    getattr(connect(has_permit=True), name)(*args, **fields)

    (seen,) = server.seen
    assert f"{seen.method} {seen.path}" == request_line.replace(" /", " /api/v1/")
    assert seen.body == body
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"


def test_csv_travels_as_it_is_with_its_names_in_the_query(connect, server):
    connect().candles_csv(exchange="x", symbol="BTCUSDT", interval="5m", csv=b"timestamp,open\n1,2\n")

    (seen,) = server.seen
    assert (seen.path, seen.headers["content-type"]) == ("/api/v1/candles", "text/csv")
    assert seen.query == {"exchange": "x", "symbol": "BTCUSDT", "interval": "5m"}
    assert seen.content == b"timestamp,open\n1,2\n"


@pytest.mark.parametrize(
    ("name", "path"), [("me", "/api/v1/me"), ("permit", "/api/v1/permit"), ("config", "/api/v1/config")]
)
def test_a_read_returns_the_answer_as_it_came(connect, server, name, path):
    server.script = [Reply(200, {"limits": {"max_order": "0.00100000"}})]

    answer = getattr(connect(), name)()

    assert answer == {"limits": {"max_order": "0.00100000"}}
    assert (server.seen[0].method, server.seen[0].path) == ("GET", path)


def test_candles_are_asked_for_with_times_in_utc(connect, server):
    server.script = [Reply(200, {"columns": ["timestamp"], "rows": []})]

    answer = connect().get_candles(exchange="x", symbol="BTCUSDT", interval="5m", start=NOON_IN_HELSINKI, limit=10)

    assert answer == {"columns": ["timestamp"], "rows": []}
    assert server.seen[0].query == {
        "exchange": "x",
        "symbol": "BTCUSDT",
        "interval": "5m",
        "start": NOON,
        "limit": "10",
    }


def test_a_batch_returns_what_became_of_each_operation(connect, server):
    results = [{"status": 201, "id": "f-1"}, {"status": 409, "code": "conflict", "id": "f-2"}]
    server.script = [Reply(200, {"results": results})]
    operations = [
        {"op": "fill", "data": {**FILL, "fill_id": "f-1", "price": Decimal("1E1")}},
        {"op": "order_update", "data": {"order_id": "o-1", "status": "filled", "at": NOON_IN_HELSINKI}},
    ]

    assert connect().batch(operations) == results
    assert server.seen[0].body == {
        "operations": [
            {"op": "fill", "data": {**FILL, "fill_id": "f-1", "price": "10"}},
            {"op": "order_update", "data": {"order_id": "o-1", "status": "filled", "at": NOON}},
        ]
    }


def test_an_ack_tells_replay_and_flags(connect, server):
    server.script = [
        Reply(200, {"fill": {}, "flags": ["overfill"]}, {"Idempotent-Replay": "true"}),
        Reply(202, {"state": "parked"}),
    ]
    client = connect()

    again = client.fill(fill_id="f-1", **FILL)
    parked = client.fill(fill_id="f-2", **FILL)

    assert (again.status, again.replayed, again.flags, again.spooled) == (200, True, ["overfill"], False)
    assert (parked.status, parked.replayed, parked.flags) == (202, False, [])
    assert parked.data == {"state": "parked"}


@pytest.mark.parametrize(
    ("price", "error"),
    [(1.5, TypeError), (True, TypeError), (Decimal("NaN"), ValueError), ("Infinity", ValueError), ("ten", ValueError)],
)
def test_a_price_that_is_not_exact_is_refused_before_anything_is_sent(connect, server, price, error):
    with pytest.raises(error, match=r"^price: "):
        connect().fill(fill_id="f-1", **{**FILL, "price": price})

    assert server.seen == []


@pytest.mark.parametrize("moment", [NOON_IN_HELSINKI.replace(tzinfo=None), "2026-11-20T09:30:00"])
def test_a_time_without_a_zone_is_refused_before_anything_is_sent(connect, server, moment):
    with pytest.raises(ValueError, match=r"executed_at: .* has no time zone"):
        connect().fill(fill_id="f-1", **{**FILL, "executed_at": moment})

    assert server.seen == []


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), ({1, 2}, TypeError)])
def test_what_json_cannot_hold_is_refused_before_anything_is_sent(connect, server, value, error):
    order = {**ORDER, "order_metadata": {"value": value}}

    with pytest.raises(error):
        connect().order(**order)

    assert server.seen == []


def test_a_list_runs_over_all_pages_and_keeps_its_filters(connect, server):
    pages = {None: ("a", "p2"), "p2": ("b", "p3=&"), "p3=&": ("c", None)}

    def page(seen):
        order_id, following = pages[seen.query.get("cursor")]
        return Reply(200, {"items": [{"order_id": order_id}], "next": following})

    server.answer = page
    start = datetime(2026, 11, 1, tzinfo=UTC)

    orders = list(connect().orders(symbol="BTCUSDT", status=None, start=start, limit=1))

    assert [order["order_id"] for order in orders] == ["a", "b", "c"]
    filters = {"symbol": "BTCUSDT", "start": "2026-11-01T00:00:00Z", "limit": "1"}
    assert [seen.query for seen in server.seen] == [
        filters,
        {**filters, "cursor": "p2"},
        {**filters, "cursor": "p3=&"},
    ]


@pytest.mark.parametrize("name", ["signals", "orders", "fills", "positions", "trades", "balances"])
def test_each_list_reads_its_own_path_and_may_be_empty(connect, server, name):
    server.script = [Reply(200, {"items": [], "next": None})]

    assert list(getattr(connect(), name)(cursor="here")) == []
    assert (server.seen[0].path, server.seen[0].query) == (f"/api/v1/{name}", {"cursor": "here"})


def test_both_clients_offer_the_same_calls_with_the_same_parameters():
    def calls(kind, close):
        names = {name for name in dir(kind) if not name.startswith("_")} - {close}
        return {name: list(inspect.signature(getattr(kind, name)).parameters) for name in names}

    assert calls(Client, "close") == calls(AsyncClient, "aclose")
    assert calls(Client, "close")["order_update"][:3] == ["self", "order_id", "status"]
    assert Client.fill.__doc__ == AsyncClient.fill.__doc__
    assert Client.fill.__doc__.startswith("Report one fill")
