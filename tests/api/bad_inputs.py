"""The catalogue of bad inputs: every call that writes, a body it takes, and of each field what kind of value it is.

From this the cases are made: each field with each bad value of its kind (bad_values.py), each call with every body
that is none, and what belongs to one call alone. A call or a field that is not here fails the test.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.api import bad_values as of
from tests.api.bad_values import Bad, line, word, written

Path = tuple[str | int, ...]
Fields = dict[str, Bad]
MIB = 1024 * 1024
THEN = "2026-11-19T09:30:00Z"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input: what is sent, and the answer it must get. `loc` is the place that is named, None for no place;
    `is_whole` says that no field alone is wrong, so that none need be named."""

    name: str
    content: bytes
    content_type: str | None = "application/json"
    status: int = 422
    code: str = "validation_error"
    loc: Path | None = None
    query: str = ""
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Write:
    """One call that writes. `fields` are those of the object at `at` in the body; `more` are bodies that are wrong as
    a whole, by what is wrong with them; `extra` are whole cases of this call alone."""

    body: Any = None
    fields: Fields = field(default_factory=dict)
    at: Path = ()
    more: Bad = field(default_factory=dict)
    extra: tuple[Case, ...] = ()
    limit: int = MIB
    by: str = "bot"


# --- what bots report

ORDER: dict[str, Any] = {
    "order_id": "bad-1", "symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "0.5",
    "intent": "report",
}  # fmt: skip
ORDER_FIELDS: Fields = {
    "order_id": of.IDENT, "symbol": of.SYMBOL, "side": word("buy"), "order_type": word("market"),
    "quantity": of.POSITIVE, "price": of.POSITIVE, "stop_price": of.POSITIVE, "client_order_id": of.IDENT,
    "exchange_order_id": of.IDENT, "order_purpose": word("entry"), "leverage": of.POSITIVE, "reduce_only": of.FLAG,
    "signal_id": of.IDENT, "strategy": line(50), "intent": word("report"), "status": word("filled"),
    "created_at": of.PAST, "order_metadata": of.OBJECT,
}  # fmt: skip
ORDER_RULES: Bad = {
    "a limit order without price": {**ORDER, "order_type": "limit"},
    "a stop-limit order without price": {**ORDER, "order_type": "stop_limit", "stop_price": "1"},
    "a request that tells a status": {**ORDER, "intent": "request", "status": "filled"},
    "a request by default that tells a status": {**ORDER, "status": "filled"} | {"intent": "request"},
}
UPDATE: dict[str, Any] = {"status": "submitted", "at": THEN}
UPDATE_FIELDS: Fields = {
    "status": word("submitted"), "exchange_order_id": of.IDENT, "rejection_reason": of.TEXT, "error_code": line(50),
    "retry_count": of.COUNT, "at": of.PAST,
}  # fmt: skip
UPDATE_RULES: Bad = {
    "nothing told": {},
    "a time alone": {"at": THEN},
    "nulls alone": {"status": None, "error_code": None},
}
FILL: dict[str, Any] = {
    "fill_id": "bad-1", "order_id": "o1", "price": "100", "quantity": "0.5", "executed_at": THEN,
}  # fmt: skip
FILL_FIELDS: Fields = {
    "fill_id": of.IDENT, "order_id": of.IDENT, "price": of.POSITIVE, "quantity": of.POSITIVE, "executed_at": of.PAST,
    "fee": of.DECIMAL, "fee_currency": of.CURRENCY, "liquidity": word("maker"), "exchange_trade_id": of.IDENT,
    "order": {**of.OBJECT, "an order without its fields": {}},
}  # fmt: skip
CARRIED = {**FILL, "order_id": "new-1"}
FILL_RULES: Bad = {
    "a notional beyond any exchange": {**FILL, "price": "9" * 20, "quantity": "9" * 20},
    "an order of another id": {**FILL, "order": {**ORDER, "order_id": "o2"}},
    "an order with NaN": {**CARRIED, "order": {**ORDER, "order_id": "new-1", "quantity": "NaN"}},
    "an order with an unknown field": {**CARRIED, "order": {**ORDER, "order_id": "new-1", "bot_id": "another_bot"}},
    "a limit order without price": {**CARRIED, "order": {**ORDER, "order_id": "new-1", "order_type": "limit"}},
}
SIGNAL: dict[str, Any] = {
    "signal_id": "bad-1", "symbol": "BTCUSDT", "signal_type": "long", "price": "100", "strategy": "x",
    "timestamp": THEN,
}  # fmt: skip
SIGNAL_FIELDS: Fields = {
    "signal_id": of.IDENT, "symbol": of.SYMBOL, "signal_type": word("long"), "price": of.POSITIVE,
    "strategy": line(50, 1),
    "strength": of.SHARE, "confidence": of.SHARE, "timestamp": of.PAST, "valid_until": of.TIME, "indicators": of.OBJECT,
    "market_conditions": of.OBJECT, "suggested_stop_loss": of.POSITIVE, "suggested_take_profit": of.POSITIVE,
    "suggested_position_size": of.POSITIVE,
}  # fmt: skip
BALANCE: dict[str, Any] = {
    "balance_id": "bad-1", "total_balance": "100", "available_balance": "100", "equity": "100", "timestamp": THEN,
}  # fmt: skip
BALANCE_FIELDS: Fields = {
    "balance_id": of.IDENT, "total_balance": of.DECIMAL, "available_balance": of.DECIMAL, "equity": of.DECIMAL,
    "timestamp": of.PAST, "locked_balance": of.DECIMAL, "margin_used": of.DECIMAL, "margin_available": of.DECIMAL,
    "margin_level": of.RATIO, "unrealized_pnl": of.DECIMAL, "realized_pnl": of.DECIMAL, "daily_pnl": of.DECIMAL,
    "snapshot_type": word("periodic"), "amount": of.POSITIVE,
}  # fmt: skip
BALANCE_RULES: Bad = {
    "a deposit without amount": {**BALANCE, "snapshot_type": "deposit"},
    "a withdrawal without amount": {**BALANCE, "snapshot_type": "withdrawal"},
    "a withdrawal below zero": {**BALANCE, "snapshot_type": "withdrawal", "amount": "-5"},
    "an amount that moves nothing": {**BALANCE, "amount": "5"},
}
EVENT: dict[str, Any] = {
    "event_id": "bad-1", "event_type": "INFO", "event_level": "INFO", "message": "hello", "event_time": THEN,
}  # fmt: skip
EVENT_FIELDS: Fields = {
    "event_id": of.IDENT, "event_type": line(50, 1), "event_level": word("INFO"), "message": of.TEXT,
    "component": line(50), "details": of.OBJECT, "event_time": of.PAST, "symbol": of.SYMBOL, "order_id": of.IDENT,
    "trade_id": of.IDENT, "error_code": line(50), "stack_trace": of.TEXT,
}  # fmt: skip
PRICE: dict[str, Any] = {"symbol": "BTCUSDT", "price": "100", "timestamp": THEN}
TRADE: dict[str, Any] = {
    "trade_id": "bad-1", "symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "100", "entry_time": THEN,
}  # fmt: skip
TRADE_FIELDS: Fields = {
    "trade_id": of.IDENT, "symbol": of.SYMBOL, "side": word("long"), "quantity": of.POSITIVE,
    "entry_price": of.POSITIVE,
    "entry_time": of.PAST, "exit_price": of.POSITIVE, "exit_time": of.PAST, "pnl_usd": of.DECIMAL, "fees": of.DECIMAL,
    "trade_type": word("market"), "leverage": of.POSITIVE, "stop_loss": of.POSITIVE, "take_profit": of.POSITIVE,
    "exit_reason": word("manual"), "strategy": line(50), "exchange_order_id": of.IDENT, "entry_logic": line(100),
    "exit_logic": line(100), "interval": of.INTERVAL, "max_favorable_excursion": of.DECIMAL,
    "max_adverse_excursion": of.DECIMAL, "signal_strength": of.SHARE, "confidence_score": of.SHARE,
    "strategy_params": of.OBJECT, "market_regime": word("ranging"), "entry_conditions": of.OBJECT,
    "exit_conditions": of.OBJECT, "is_paper_trade": of.FLAG, "notes": of.TEXT,
}  # fmt: skip
POSITION: dict[str, Any] = {"symbol": "BTCUSDT", "side": "long", "size": "1"}
POSITION_FIELDS: Fields = {
    "symbol": of.SYMBOL, "side": word("long"), "size": of.NOT_NEGATIVE, "avg_entry_price": of.POSITIVE,
}  # fmt: skip
CANDLE: list[Any] = [THEN, "100", "101", "99", "100", "1"]
CANDLES: dict[str, Any] = {"exchange": "bybit", "symbol": "BTCUSDT", "interval": "5m", "candles": [CANDLE]}
CANDLE_FIELDS: Fields = {
    "exchange": of.EXCHANGE, "symbol": of.SYMBOL, "interval": of.INTERVAL,
    "candles": {name: value for name, value in of.LIST.items() if not name.startswith("a list")},
}  # fmt: skip
CSV_HEADER = b"timestamp,open,high,low,close,volume\n"
SERIES = "?exchange=bybit&symbol=BTCUSDT&interval=5m"


def csv(name: str, content: bytes, loc: Path | None = None, query: str = SERIES, **answer: Any) -> Case:
    return Case(name=f"csv: {name}", content=content, content_type="text/csv", loc=loc, query=query, **answer)


CSV_CASES = (
    csv("no byte", b""),
    csv("no column of ours", b"a,b\n1,2\n"),
    csv("a column twice", b"timestamp,open,high,low,close,volume,open\n"),
    csv("no UTF-8", b"\xff\xfe\n", status=400, code="malformed_body"),
    csv("no series", CSV_HEADER, ("query", "exchange"), ""),
    csv("a Cyrillic symbol", CSV_HEADER, ("query", "symbol"), "?exchange=bybit&symbol=%D0%92TCUSDT&interval=5m"),
    csv("NUL in the series", CSV_HEADER, ("query",), "?exchange=bybit&symbol=BTC%00&interval=5m"),
    csv("a symbol twice", CSV_HEADER, ("query",), SERIES + "&symbol=ETHUSDT"),
    csv("an unknown parameter", CSV_HEADER, ("query",), SERIES + "&a=1"),
)

# --- what staff write

BOT: dict[str, Any] = {
    "bot_id": "bad_1", "bot_name": "Bad", "bot_type": "custom", "strategy_name": "x", "deployment_mode": "demo",
    "initial_capital": "100",
}  # fmt: skip
LIMITS: Fields = {
    "max_positions": of.COUNT, "leverage_limit": of.FROM_ONE, "max_daily_loss_pct": of.SHARE,
    "max_weekly_loss_pct": of.SHARE, "max_drawdown_pct": of.SHARE,
}  # fmt: skip
CONTROL: dict[str, Any] = {"scope": "symbol", "target": "BTCUSDT", "state": "HALTED", "reason": "test"}

WRITES: dict[str, Write] = {
    "POST /heartbeat": Write(
        body={"equity": "1"},
        fields={"equity": of.DECIMAL, "error_count": of.COUNT, "latency_ms": of.DECIMAL,
                "acknowledged_halt": of.SIGNED},
    ),
    "POST /signals": Write(body=SIGNAL, fields=SIGNAL_FIELDS),
    "POST /risk/check": Write(body=ORDER, fields=ORDER_FIELDS, more=ORDER_RULES),
    "POST /orders": Write(body=ORDER, fields=ORDER_FIELDS, more=ORDER_RULES),
    "PATCH /orders/{order_id}": Write(body=UPDATE, fields=UPDATE_FIELDS, more=UPDATE_RULES),
    "POST /fills": Write(body=FILL, fields=FILL_FIELDS, more=FILL_RULES),
    "POST /balances": Write(body=BALANCE, fields=BALANCE_FIELDS, more=BALANCE_RULES),
    "POST /events": Write(
        body={"events": [{**EVENT, "event_id": "good"}, EVENT]}, at=("events", 1), fields=EVENT_FIELDS, limit=16 * MIB,
        more={"no event": {"events": []}, "an id twice": {"events": [EVENT, EVENT]}, "no list": {"events": EVENT},
              "1001 events": {"events": [{**EVENT, "event_id": f"e{n}"} for n in range(1001)]},
              "events null": {"events": None},
              "a list of numbers": {"events": [1]}},
    ),
    "POST /batch": Write(
        body={"operations": [{"op": "order", "data": ORDER}]}, at=("operations", 0), limit=16 * MIB,
        fields={"op": word("order"), "data": of.OBJECT},
        more={"no operation": {"operations": []}, "no list": {"operations": {}},
              "operations null": {"operations": None},
              "1001 operations": {"operations": [{"op": "order", "data": ORDER}] * 1001}},
    ),
    "POST /prices": Write(
        body={"prices": [PRICE]}, at=("prices", 0),
        fields={"symbol": of.SYMBOL, "price": of.POSITIVE, "timestamp": of.PAST},
        more={"no price": {"prices": []}, "1001 prices": {"prices": [PRICE] * 1001}, "no list": {"prices": PRICE}},
    ),
    "POST /candles": Write(body=CANDLES, fields=CANDLE_FIELDS, limit=16 * MIB, extra=CSV_CASES,
                           more={"100,001 rows": {**CANDLES, "candles": [1] * 100_001}}),
    "POST /trades": Write(
        body=TRADE, fields=TRADE_FIELDS,
        more={"an exit without its time": {**TRADE, "exit_price": "1"},
              "a time without its price": {**TRADE, "exit_time": THEN},
              "an exit before the entry": {**TRADE, "exit_price": "1", "exit_time": "2026-11-19T09:29:59Z"},
              "a notional beyond any exchange": {**TRADE, "entry_price": "9" * 20, "quantity": "9" * 20}},
    ),
    "POST /positions/reported": Write(
        body={"positions": [POSITION], "as_of": THEN}, at=("positions", 0), fields=POSITION_FIELDS,
        more={"no moment": {"positions": []}, "a moment without offset": {"positions": [], "as_of": THEN[:-1]},
              "a moment to come": {"positions": [], "as_of": "2099-01-01T00:00:00Z"}, "no positions": {"as_of": THEN},
              "5001 positions": {"positions": [POSITION] * 5001, "as_of": THEN}},
    ),
    "PATCH /positions/{position_id}": Write(
        body={"stop_loss": "1"},
        fields={"stop_loss": of.POSITIVE,
                "take_profit": {name: bad for name, bad in of.POSITIVE.items() if name not in ("a list", "an object")},
                "trailing_stop": {name: bad for name, bad in of.POSITIVE.items() if name != "an object"},
                "position_metadata": of.OBJECT},
        more={"nothing": {}, "a size": {"size": "1"}, "a side": {"side": "short"},
              "a P&L": {"realized_pnl": "1000000"}},
    ),
    "POST /bots": Write(
        by="staff", body=BOT,
        fields={"bot_id": of.BOT, "bot_name": line(100, 1), "bot_type": line(50, 1), "strategy_name": line(100, 1),
                "deployment_mode": word("demo"), "initial_capital": of.NOT_NEGATIVE, "description": of.TEXT,
                "currency": of.CURRENCY, "exchange": of.EXCHANGE, "account_id": of.IDENT, **LIMITS},
    ),
    "PATCH /bots/{bot_id}": Write(
        by="staff", body={"max_positions": 5},
        fields={"bot_name": line(100, 1), "description": of.TEXT, "status": word("paused"), **LIMITS,
                "reason": of.REASON},
        more={"nothing": {}, "a reason alone": {"reason": "because"}, "no limit of positions": {"max_positions": None},
              "no name": {"bot_name": None}, "no status": {"status": None}, "another id": {"bot_id": "bot_2"},
              "another account": {"account": 1}, "more capital": {"initial_capital": "1000000"}},
    ),
    "POST /bots/{bot_id}/tokens": Write(
        by="staff", body={"days": 30},
        fields={"days": of.DAYS, "scopes": {**of.LIST, "no scope": [], "an unknown scope": ["root"],
                "four": ["read"] * 4}},
    ),
    "DELETE /bots/{bot_id}/tokens/{prefix}": Write(by="staff"),
    "POST /control": Write(
        by="staff", body=CONTROL,
        fields={"scope": word("all"), "state": word("HALTED"), "reason": of.REASON,
                "target": {**of.NO_TEXT, "nothing": "", "too long": "x" * 51}},
        more={"all with a target": {**CONTROL, "scope": "all"}, "no target": {**CONTROL, "target": None},
              "a Cyrillic symbol": {**CONTROL, "target": "\u0412TCUSDT"}, "small letters": {**CONTROL,
                                    "target": "btcusdt"},
              "a zero-width space": {**CONTROL, "target": "BTC\u200bUSDT"},
              "a bot that cannot be": {**CONTROL, "scope": "bot", "target": "b\u043et_001"},
              "an exchange that cannot be": {**CONTROL, "scope": "exchange", "target": "b\u0443bit"}},
    ),
    "POST /invariants/run": Write(by="staff"),
    "PATCH /reconciliation/cases/{case_id}": Write(
        by="staff", body={"cause": "x"}, fields={"status": word("resolved"), "cause": of.TEXT, "resolution": of.TEXT},
        more={"nothing": {}, "nulls": {"cause": None}, "resolved without a word": {"status": "resolved"},
              "another bot": {"bot_id": "bot_2"}, "other figures": {"expected": {}}},
    ),
    "POST /risk/events/{event_id}/resolve": Write(by="staff", body={"notes": "x"}, fields={"notes": of.REASON}),
    "POST /auth/confirm": Write(
        by="staff", body={"password": "x"}, fields={"password": of.PASSWORD, "code": of.PASSWORD},
        more={"nothing": {}, "no proof": {"password": None}, "no code": {"password": None, "code": ""},
              "a code that is long": {"password": None, "code": "1" * 21},
              "a code that is a number": {"password": None, "code": 123456}},
    ),
}  # fmt: skip
OPERATIONS: dict[str, tuple[dict[str, Any], Fields]] = {
    "signal": (SIGNAL, SIGNAL_FIELDS),
    "order": (ORDER, ORDER_FIELDS),
    "fill": (FILL, FILL_FIELDS),
    "balance": (BALANCE, BALANCE_FIELDS),
    "event": (EVENT, EVENT_FIELDS),
    "order_update": ({**UPDATE, "order_id": "o1"}, {**UPDATE_FIELDS, "order_id": of.IDENT}),
}
BAD_CANDLES: Bad = {
    "a number": 1, "null": None, "text": "2026", "an object": {}, "an empty row": [], "five values": CANDLE[:5],
    "nine values": [*CANDLE, "1", 1, 1], "no time": [None, *CANDLE[1:]], "high below low": [THEN, "1", "1", "2", "1",
    "1"],
    **{f"time: {name}": [value, *CANDLE[1:]] for name, value in of.PAST.items()},
    **{f"price: {name}": [THEN, value, *CANDLE[2:]] for name, value in of.POSITIVE.items()},
    **{f"volume: {name}": [*CANDLE[:5], value] for name, value in of.NOT_NEGATIVE.items()},
    **{f"trades: {name}": [*CANDLE, None, value] for name, value in of.DECIMAL.items()},
    **{f"trades: {name}": [*CANDLE, None, value] for name, value in {"-1": -1, "a half": "0.5", "2^31": 2**31}.items()},
}  # fmt: skip


# --- cases made of them


def changed(body: Any, path: Path, value: Any) -> Any:
    """Return a body with another value at one place."""
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        return [changed(inner, tuple(rest), value) if n == first else inner for n, inner in enumerate(body)]
    return {**body, first: changed(body.get(first), tuple(rest), value)}


def of_field(write: Write, name: str, bad: Bad, required: bool) -> Iterator[Case]:
    """One field with each bad value of its kind; null where the field must be."""
    place = (*write.at, name)
    for what, value in {**bad, "null": None}.items() if required else bad.items():
        content = written(changed(write.body, place, value)).encode()
        yield Case(name=f"{name}: {what}", content=content, loc=("body", *place))


def of_body(write: Write) -> Iterator[Case]:
    """What no call takes: no JSON, no object, unknown fields, other types of content, too many bytes."""
    first = next(iter(write.fields))
    good = written(write.body).encode()
    for name, content in of.MALFORMED.items():
        yield Case(name=name, content=content, status=400, code="malformed_body")
    for name, content in of.NO_OBJECT.items():
        yield Case(name=name, content=content, loc=("body",))
    for name, value in of.UNREADABLE.items():
        yield Case(name=name, content=written(changed(write.body, (*write.at, first), value)).encode(), loc=("body",))
    yield Case(name="the body's first key twice", content=twice(write.body), loc=("body",))
    for name, value in of.UNKNOWN_FIELDS.items():
        if name in write.fields:
            continue
        content = written(changed(write.body, (*write.at, name), value)).encode()
        yield Case(name=f"unknown field {name[:20]!r}", content=content, loc=("body", *write.at, name[:100]))
    for name, body in write.more.items():
        yield Case(name=name, content=written(body).encode(), loc=("body",), is_whole=True)
    for kind in (*of.CONTENT_TYPES, None):
        code = "unsupported_media_type"
        yield Case(name=f"sent as {kind}", content=good, content_type=kind, status=415, code=code)
    yield Case(name="one byte too many", content=good.ljust(write.limit + 1), status=413, code="body_too_large")
    yield from write.extra


def twice(body: dict[str, Any]) -> bytes:
    """Write an object with its first key standing twice."""
    name, value = next(iter(body.items()))
    return f"{{{written(name)}:{written(value)},{written(body)[1:]}".encode()
