"""Every call of the HTTP contract, written once: the clients bind these functions as their methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Any, TypeVar, Unpack
from urllib.parse import quote

from .answers import (
    Ack,
    Answer,
    Balance,
    BatchResult,
    CandleTable,
    ConfigEntry,
    Fill,
    Heartbeat,
    Me,
    Order,
    Permit,
    Position,
    RiskCheck,
    Signal,
    Trade,
)
from .inputs import (
    BalanceOptions,
    EventFields,
    Intent,
    ListFilters,
    Operation,
    OrderFields,
    OrderOptions,
    PricePoint,
    ReportedPosition,
    SignalOptions,
    TradeFields,
)
from .protocol import Call, Lane, Listing, read_ack, read_admission, read_data
from .wire import DecimalLike, TimeLike, encode_candle, encode_field, encode_fields, json_bytes

T = TypeVar("T")


def _write(method: str, path: str, body: Any, *, read: Callable[[Answer], T], lane: Lane) -> Call[T]:
    return Call(method, path, read, lane, content=json_bytes(body))


def _fact(path: str, body: Any, *, method: str = "POST") -> Call[Ack]:
    return _write(method, path, body, read=read_ack, lane=Lane.FACT)


def _query(filters: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in encode_fields(filters).items()}


def _list(path: str, filters: ListFilters) -> Listing[Any]:
    return Listing(Call("GET", path, read_data, params=_query(filters)))


def me() -> Call[Me]:
    """Return the bot this token belongs to, its status, limits and scopes."""
    return Call("GET", "/me", read_data)


def permit() -> Call[Permit]:
    """Return what this bot may do now."""
    return Call("GET", "/permit", read_data)


def config() -> Call[dict[str, ConfigEntry]]:
    """Return the active configuration by key."""
    return Call("GET", "/config", read_data)


def heartbeat(
    *,
    equity: DecimalLike | None = None,
    error_count: int | None = None,
    latency_ms: float | None = None,
    acknowledged_halt: int | None = None,
) -> Call[Heartbeat]:
    """Tell that the bot lives; the answer carries the permit, the halt in force and the configuration versions."""
    body = {
        "equity": equity,
        "error_count": error_count,
        "latency_ms": latency_ms,
        "acknowledged_halt": acknowledged_halt,
    }
    return _write("POST", "/heartbeat", encode_fields(body), read=read_data, lane=Lane.AID)


def signal(
    *,
    signal_id: str,
    symbol: str,
    signal_type: str,
    price: DecimalLike,
    strategy: str,
    **optional: Unpack[SignalOptions],
) -> Call[Ack]:
    """Record a signal."""
    required = {
        "signal_id": signal_id,
        "symbol": symbol,
        "signal_type": signal_type,
        "price": price,
        "strategy": strategy,
    }
    return _fact("/signals", encode_fields({**required, **optional}))


def risk_check(**order: Unpack[OrderFields]) -> Call[RiskCheck]:
    """Ask whether an order would be admitted now; stores no order."""
    return _write("POST", "/risk/check", encode_fields(order), read=read_data, lane=Lane.COMMAND)


def order(
    *,
    order_id: str,
    symbol: str,
    side: str,
    order_type: str,
    quantity: DecimalLike,
    intent: Intent = "request",
    **optional: Unpack[OrderOptions],
) -> Call[Ack]:
    """Ask to place an order (`request`), or report one that is already at the exchange (`report`).

    A request raises NoPermit without a valid permit (it asks for one first), RiskRejected or BotHalted when the server
    refuses it, and is never spooled: without an Ack, do not trade. A report always goes.
    """
    required = {"order_id": order_id, "symbol": symbol, "side": side, "order_type": order_type, "quantity": quantity}
    body = encode_fields({**required, "intent": intent, **optional})
    if intent == "report":
        return _fact("/orders", body)
    return Call("POST", "/orders", read_admission, Lane.COMMAND, content=json_bytes(body), needs_permit=True)


def order_update(
    order_id: str,
    *,
    status: str | None = None,
    exchange_order_id: str | None = None,
    rejection_reason: str | None = None,
    error_code: str | None = None,
    retry_count: int | None = None,
    at: TimeLike | None = None,
) -> Call[Ack]:
    """Report what became of an order; give `at`, so that a late delivery keeps the true time."""
    body = {
        "status": status,
        "exchange_order_id": exchange_order_id,
        "rejection_reason": rejection_reason,
        "error_code": error_code,
        "retry_count": retry_count,
        "at": at,
    }
    return _fact(f"/orders/{quote(order_id, safe='')}", encode_fields(body), method="PATCH")


def fill(
    *,
    fill_id: str,
    order_id: str,
    price: DecimalLike,
    quantity: DecimalLike,
    executed_at: TimeLike,
    fee: DecimalLike | None = None,
    fee_currency: str | None = None,
    liquidity: str | None = None,
    exchange_trade_id: str | None = None,
    order: OrderFields | None = None,
) -> Call[Ack]:
    """Report one fill; `order` may bring an order the server does not know yet."""
    body = {
        "fill_id": fill_id,
        "order_id": order_id,
        "price": price,
        "quantity": quantity,
        "executed_at": executed_at,
        "fee": fee,
        "fee_currency": fee_currency,
        "liquidity": liquidity,
        "exchange_trade_id": exchange_trade_id,
        "order": order,
    }
    return _fact("/fills", encode_fields(body))


def position_update(
    position_id: str,
    *,
    stop_loss: DecimalLike | EllipsisType | None = ...,
    take_profit: DecimalLike | list[Any] | dict[str, Any] | EllipsisType | None = ...,
    trailing_stop: DecimalLike | dict[str, Any] | EllipsisType | None = ...,
    position_metadata: dict[str, Any] | EllipsisType | None = ...,
) -> Call[Ack]:
    """Change the stops of a position. What is not given stays; None takes a stop away."""
    given = {
        "stop_loss": stop_loss,
        "take_profit": take_profit,
        "trailing_stop": trailing_stop,
        "position_metadata": position_metadata,
    }
    body = {name: encode_field(name, value) for name, value in given.items() if value is not ...}
    path = f"/positions/{quote(position_id, safe='')}"
    return _write("PATCH", path, body, read=read_ack, lane=Lane.COMMAND)


def trade(**fields: Unpack[TradeFields]) -> Call[Ack]:
    """Report a whole round trip, for bots that know only closed trades."""
    return _fact("/trades", encode_fields(fields))


def balance(
    *,
    balance_id: str,
    total_balance: DecimalLike,
    available_balance: DecimalLike,
    equity: DecimalLike,
    timestamp: TimeLike,
    **optional: Unpack[BalanceOptions],
) -> Call[Ack]:
    """Report the account's balance at one time."""
    required = {
        "balance_id": balance_id,
        "total_balance": total_balance,
        "available_balance": available_balance,
        "equity": equity,
        "timestamp": timestamp,
    }
    return _fact("/balances", encode_fields({**required, **optional}))


def report_positions(positions: Iterable[ReportedPosition], *, as_of: TimeLike) -> Call[Ack]:
    """Report the positions the bot or the exchange believes in; differences open cases."""
    body = {"positions": [encode_fields(position) for position in positions], "as_of": encode_field("as_of", as_of)}
    return _fact("/positions/reported", body)


def events(events: Iterable[EventFields]) -> Call[Ack]:
    """Report up to 1000 events; they are stored all or none."""
    return _fact("/events", {"events": [encode_fields(event) for event in events]})


def batch(operations: Iterable[Operation]) -> Call[list[BatchResult]]:
    """Send up to 1000 operations in order; each is judged on its own, so look at every result. Never spooled.

    Without a valid permit the orders it asks for stay here, with status 0 and code `no_permit`; the rest goes.
    """
    body: list[dict[str, Any]] = [
        {"op": operation["op"], "data": encode_fields(operation["data"])} for operation in operations
    ]
    asked = {number for number, operation in enumerate(body) if _is_request(operation)}
    facts = [operation for number, operation in enumerate(body) if number not in asked]

    def merged(answer: Answer) -> list[BatchResult]:
        results = iter(answer.data["results"])
        return [
            {"status": 0, "code": "no_permit", "id": str(operation["data"].get("order_id", ""))}
            if number in asked
            else next(results)
            for number, operation in enumerate(body)
        ]

    allowed = _write("POST", "/batch", {"operations": facts}, read=merged, lane=Lane.COMMAND) if facts else None
    whole = _write(
        "POST", "/batch", {"operations": body}, read=lambda answer: answer.data["results"], lane=Lane.COMMAND
    )
    return replace(whole, needs_permit=True, allowed=allowed) if asked else whole


def _is_request(operation: Mapping[str, Any]) -> bool:
    return operation["op"] == "order" and bool(operation["data"].get("intent", "request") == "request")


def prices(prices: Iterable[PricePoint]) -> Call[Ack]:
    """Publish prices to the live layer; they are not stored in the ledger."""
    body = {"prices": [encode_fields(price) for price in prices]}
    return _write("POST", "/prices", body, read=read_ack, lane=Lane.AID)


def candles(*, exchange: str, symbol: str, interval: str, candles: Iterable[Sequence[Any]]) -> Call[Ack]:
    """Store candles: rows of timestamp, open, high, low, close, volume, quote_volume?, trades_count?.

    A bad row is refused alone and named in the answer.
    """
    rows = [encode_candle(row) for row in candles]
    body = {"exchange": exchange, "symbol": symbol, "interval": interval, "candles": rows}
    return _write("POST", "/candles", body, read=read_ack, lane=Lane.AID)


def candles_csv(*, exchange: str, symbol: str, interval: str, csv: bytes) -> Call[Ack]:
    """Store candles from CSV with a header row; exchange, symbol and interval travel in the query."""
    params = {"exchange": exchange, "symbol": symbol, "interval": interval}
    return Call("POST", "/candles", read_ack, Lane.AID, params, csv, "text/csv")


def get_candles(
    *,
    exchange: str,
    symbol: str,
    interval: str,
    start: TimeLike | None = None,
    end: TimeLike | None = None,
    limit: int | None = None,
) -> Call[CandleTable]:
    """Return candles, oldest first."""
    named = {"exchange": exchange, "symbol": symbol, "interval": interval, "start": start, "end": end, "limit": limit}
    return Call("GET", "/candles", read_data, params=_query(named))


def signals(**filters: Unpack[ListFilters]) -> Listing[Signal]:
    """Iterate over this bot's signals, newest first, over all pages."""
    return _list("/signals", filters)


def orders(**filters: Unpack[ListFilters]) -> Listing[Order]:
    """Iterate over this bot's orders, newest first, over all pages."""
    return _list("/orders", filters)


def fills(**filters: Unpack[ListFilters]) -> Listing[Fill]:
    """Iterate over this bot's fills, newest first, over all pages."""
    return _list("/fills", filters)


def positions(**filters: Unpack[ListFilters]) -> Listing[Position]:
    """Iterate over this bot's positions, open and closed unless `status` says otherwise."""
    return _list("/positions", filters)


def trades(**filters: Unpack[ListFilters]) -> Listing[Trade]:
    """Iterate over this bot's trades, newest first, over all pages."""
    return _list("/trades", filters)


def balances(**filters: Unpack[ListFilters]) -> Listing[Balance]:
    """Iterate over this bot's balances, newest first, over all pages."""
    return _list("/balances", filters)
