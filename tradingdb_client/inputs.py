"""The optional fields of the writes, and the records inside them, with the field names of the HTTP contract."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, Required, TypedDict

from .wire import DecimalLike, TimeLike

Intent = Literal["request", "report"]


class SignalOptions(TypedDict, total=False):
    """What a signal may carry beside the required fields."""

    strength: DecimalLike | None
    confidence: DecimalLike | None
    timestamp: TimeLike | None
    valid_until: TimeLike | None
    indicators: dict[str, Any] | None
    market_conditions: dict[str, Any] | None
    suggested_stop_loss: DecimalLike | None
    suggested_take_profit: DecimalLike | None
    suggested_position_size: DecimalLike | None


class OrderOptions(TypedDict, total=False):
    """What an order may carry beside the required fields."""

    price: DecimalLike | None
    stop_price: DecimalLike | None
    client_order_id: str | None
    exchange_order_id: str | None
    order_purpose: str | None
    leverage: DecimalLike | None
    reduce_only: bool | None
    signal_id: str | None
    strategy: str | None
    status: str | None
    created_at: TimeLike | None
    order_metadata: dict[str, Any] | None


class OrderFields(OrderOptions, total=False):
    """A whole order: for a risk check, or inside a fill."""

    order_id: Required[str]
    symbol: Required[str]
    side: Required[str]
    order_type: Required[str]
    quantity: Required[DecimalLike]
    intent: Intent


class TradeFields(TypedDict, total=False):
    """A whole round trip."""

    trade_id: Required[str]
    symbol: Required[str]
    side: Required[str]
    quantity: Required[DecimalLike]
    entry_price: Required[DecimalLike]
    entry_time: Required[TimeLike]
    exit_price: DecimalLike | None
    exit_time: TimeLike | None
    pnl_usd: DecimalLike | None
    fees: DecimalLike | None
    leverage: DecimalLike | None
    exit_reason: str | None
    strategy: str | None


class BalanceOptions(TypedDict, total=False):
    """What a balance may carry; a deposit or a withdrawal needs `amount`."""

    locked_balance: DecimalLike | None
    margin_used: DecimalLike | None
    margin_available: DecimalLike | None
    margin_level: DecimalLike | None
    unrealized_pnl: DecimalLike | None
    realized_pnl: DecimalLike | None
    daily_pnl: DecimalLike | None
    snapshot_type: str | None
    amount: DecimalLike | None


class ReportedPosition(TypedDict):
    """A position as the bot or the exchange sees it."""

    symbol: str
    side: str
    size: DecimalLike
    avg_entry_price: NotRequired[DecimalLike | None]


class EventFields(TypedDict):
    """One event."""

    event_id: str
    event_type: str
    event_level: str
    message: str
    component: NotRequired[str | None]
    details: NotRequired[dict[str, Any] | None]
    event_time: NotRequired[TimeLike | None]
    symbol: NotRequired[str | None]
    order_id: NotRequired[str | None]
    trade_id: NotRequired[str | None]
    error_code: NotRequired[str | None]
    stack_trace: NotRequired[str | None]


class PricePoint(TypedDict):
    """One price."""

    symbol: str
    price: DecimalLike
    timestamp: TimeLike


class Operation(TypedDict):
    """One operation of a batch."""

    op: Literal["signal", "order", "fill", "balance", "event", "order_update"]
    data: dict[str, Any]


class ListFilters(TypedDict, total=False):
    """Filters of a list; `limit` is the size of a page, `cursor` the page to begin with."""

    symbol: str | None
    status: str | None
    side: str | None
    start: TimeLike | None
    end: TimeLike | None
    limit: int | None
    cursor: str | None
