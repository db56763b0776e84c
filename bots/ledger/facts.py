"""The facts and commands a bot sends, as plain values: validated, typed, without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.ledger.shapes import plain, stamp

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What every fact carries: the body it was read from, whose meaning decides what a repeat is, and its source."""

    body: Json = field(repr=False)
    source: str = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal(Fact):
    """A signal of a strategy; `timestamp` None means now."""

    signal_id: str
    symbol: str
    signal_type: str
    price: Decimal
    strategy: str
    strength: Decimal | None = None
    confidence: Decimal | None = None
    timestamp: datetime | None = None
    valid_until: datetime | None = None
    indicators: Json | None = None
    market_conditions: Json | None = None
    suggested_stop_loss: Decimal | None = None
    suggested_take_profit: Decimal | None = None
    suggested_position_size: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder(Fact):
    """An order: asked for (`request`) or already at the exchange (`report`)."""

    order_id: str
    symbol: str
    side: str
    order_type: str
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    client_order_id: str | None = None
    exchange_order_id: str | None = None
    order_purpose: str | None = None
    leverage: Decimal | None = None
    reduce_only: bool = False
    signal_id: str | None = None
    strategy: str = ""
    intent: str = "request"
    status: str | None = None
    created_at: datetime | None = None
    order_metadata: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNews(Fact):
    """Something told about an order that exists; `at` None means now."""

    order_id: str
    status: str | None = None
    exchange_order_id: str | None = None
    rejection_reason: str | None = None
    error_code: str | None = None
    retry_count: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFill(Fact):
    """One execution; `fee` is in `fee_currency`, or in the quote currency when that is None."""

    fill_id: str
    order_id: str
    price: Decimal
    quantity: Decimal
    executed_at: datetime
    fee: Decimal | None = None
    fee_currency: str | None = None
    liquidity: str | None = None
    exchange_trade_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBalance(Fact):
    """A balance at one moment; a deposit or withdrawal also has its positive `amount`."""

    balance_id: str
    total_balance: Decimal
    available_balance: Decimal
    equity: Decimal
    timestamp: datetime
    locked_balance: Decimal = Decimal(0)
    margin_used: Decimal = Decimal(0)
    margin_available: Decimal | None = None
    margin_level: Decimal | None = None
    unrealized_pnl: Decimal = Decimal(0)
    realized_pnl: Decimal = Decimal(0)
    daily_pnl: Decimal = Decimal(0)
    snapshot_type: str = "periodic"
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent(Fact):
    """Something worth telling; `event_time` None means now."""

    event_id: str
    event_type: str
    event_level: str
    message: str
    component: str | None = None
    details: Json | None = None
    event_time: datetime | None = None
    symbol: str | None = None
    order_id: str | None = None
    trade_id: str | None = None
    error_code: str | None = None
    stack_trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A sign of life; figures that are None were not told."""

    equity: Decimal | None = None
    error_count: int | None = None
    latency_ms: float | None = None
    acknowledged_halt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTick:
    """The last price of a symbol at a time."""

    symbol: str
    price: Decimal
    timestamp: datetime

    def wire(self) -> dict[str, str]:
        """Return the tick as messages carry it."""
        return {"symbol": self.symbol, "price": plain(self.price), "timestamp": stamp(self.timestamp)}
