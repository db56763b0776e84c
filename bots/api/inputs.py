"""What the hot calls take: each model is one body of the contract, and turns itself into the fact it stands for."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from audit.choices import EventLevel
from bots.choices import Liquidity, OrderIntent, OrderPurpose, OrderStatus, OrderType, Side, SignalType, SnapshotType
from bots.ledger.facts import Heartbeat, NewBalance, NewEvent, NewFill, NewOrder, NewSignal, OrderNews, PriceTick
from tradingdb.lib.schema import (
    CountIn,
    CurrencyCode,
    DecimalIn,
    FactTime,
    Flag,
    FloatIn,
    Ident,
    IntegerIn,
    JsonObject,
    Line50,
    Name50,
    PositiveDecimal,
    Ratio01,
    RatioIn,
    StrictModel,
    Symbol,
    Text,
    UtcTime,
    Word,
    wrong,
)

# Far beyond any real trade, and small enough that sums of products always fit numeric(76,36).
LARGEST_NOTIONAL = Decimal(10) ** 30


class HeartbeatIn(StrictModel):
    """A sign of life of the bot."""

    equity: DecimalIn | None = None
    error_count: CountIn | None = None
    latency_ms: FloatIn | None = None
    acknowledged_halt: IntegerIn | None = None

    def to_domain(self) -> Heartbeat:
        return Heartbeat(**self.model_dump())


class SignalIn(StrictModel):
    """A signal of the bot's strategy."""

    signal_id: Ident
    symbol: Symbol
    signal_type: Word[SignalType]
    price: PositiveDecimal
    strategy: Name50
    strength: Ratio01 | None = None
    confidence: Ratio01 | None = None
    timestamp: FactTime | None = None
    valid_until: UtcTime | None = None
    indicators: JsonObject | None = None
    market_conditions: JsonObject | None = None
    suggested_stop_loss: PositiveDecimal | None = None
    suggested_take_profit: PositiveDecimal | None = None
    suggested_position_size: PositiveDecimal | None = None

    def to_domain(self) -> NewSignal:
        body = self.model_dump()
        return NewSignal(body=body, **body)


class OrderIn(StrictModel):
    """An order: `request` asks for it, `report` tells of one that is at the exchange already."""

    order_id: Ident
    symbol: Symbol
    side: Word[Side]
    order_type: Word[OrderType]
    quantity: PositiveDecimal
    price: PositiveDecimal | None = None
    stop_price: PositiveDecimal | None = None
    client_order_id: Ident | None = None
    exchange_order_id: Ident | None = None
    order_purpose: Word[OrderPurpose] | None = None
    leverage: PositiveDecimal | None = None
    reduce_only: Flag = False
    signal_id: Ident | None = None
    strategy: Line50 = ""
    intent: Word[OrderIntent] = OrderIntent.REQUEST
    status: Word[OrderStatus] | None = None
    created_at: FactTime | None = None
    order_metadata: JsonObject | None = None

    @model_validator(mode="after")
    def whole(self) -> Self:
        if self.price is None and self.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
            raise wrong("whole", f"a {self.order_type} order needs a price")
        if self.intent == OrderIntent.REQUEST and self.status is not None:
            raise wrong("whole", "status is told with intent report only; a request is pending until it is admitted")
        return self

    def to_domain(self) -> NewOrder:
        body = self.model_dump()
        return NewOrder(body=body, **{**body, "intent": str(self.intent)})


class CarriedOrderIn(OrderIn):
    """An order that a fill brings along: it was filled, so it is a report whatever it says."""

    intent: Word[OrderIntent] = OrderIntent.REPORT

    @model_validator(mode="after")
    def whole(self) -> Self:
        if self.price is None and self.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
            raise wrong("whole", f"a {self.order_type} order needs a price")
        return self


class OrderUpdateIn(StrictModel):
    """What is told of an order."""

    status: Word[OrderStatus] | None = None
    exchange_order_id: Ident | None = None
    rejection_reason: Text | None = None
    error_code: Line50 | None = None
    retry_count: CountIn | None = None
    at: FactTime | None = None

    @model_validator(mode="after")
    def says_something(self) -> Self:
        if not self.model_dump(exclude_none=True, exclude={"at"}):
            raise wrong("whole", "tell at least one thing besides the time")
        return self

    def to_domain(self, order_id: str) -> OrderNews:
        body = self.model_dump()
        return OrderNews(body=body, order_id=order_id, **body)


class FillIn(StrictModel):
    """One execution at the exchange; `order` may carry its order at once."""

    fill_id: Ident
    order_id: Ident
    price: PositiveDecimal
    quantity: PositiveDecimal
    executed_at: FactTime
    fee: DecimalIn | None = None
    fee_currency: CurrencyCode | None = None
    liquidity: Word[Liquidity] | None = None
    exchange_trade_id: Ident | None = None
    order: CarriedOrderIn | None = None

    @model_validator(mode="after")
    def whole(self) -> Self:
        if self.price * self.quantity >= LARGEST_NOTIONAL or abs(self.fee or Decimal(0)) >= LARGEST_NOTIONAL:
            raise wrong("whole", "price times quantity is beyond what any exchange trades")
        if self.order is not None and self.order.order_id != self.order_id:
            raise wrong("whole", "order.order_id differs from order_id")
        return self

    def to_domain(self) -> NewFill:
        body = self.model_dump(exclude={"order"})
        return NewFill(body=body, **body)

    def order_to_domain(self) -> NewOrder | None:
        """The order the fill brings along is a report: it has been filled at the exchange."""
        if self.order is None:
            return None
        return self.order.model_copy(update={"intent": OrderIntent.REPORT.value}).to_domain()


class BalanceIn(StrictModel):
    """A balance of the bot; `deposit` and `withdrawal` need their `amount`."""

    balance_id: Ident
    total_balance: DecimalIn
    available_balance: DecimalIn
    equity: DecimalIn
    timestamp: FactTime
    locked_balance: DecimalIn = Decimal(0)
    margin_used: DecimalIn = Decimal(0)
    margin_available: DecimalIn | None = None
    margin_level: RatioIn | None = None
    unrealized_pnl: DecimalIn = Decimal(0)
    realized_pnl: DecimalIn = Decimal(0)
    daily_pnl: DecimalIn = Decimal(0)
    snapshot_type: Word[SnapshotType] = SnapshotType.PERIODIC
    amount: PositiveDecimal | None = None

    @model_validator(mode="after")
    def moves_money(self) -> Self:
        moves = self.snapshot_type in (SnapshotType.DEPOSIT, SnapshotType.WITHDRAWAL)
        if moves != (self.amount is not None):
            raise wrong("whole", "amount belongs to a deposit or a withdrawal, and they need it")
        return self

    def to_domain(self) -> NewBalance:
        body = self.model_dump()
        return NewBalance(body=body, **{**body, "snapshot_type": str(self.snapshot_type)})


class EventIn(StrictModel):
    """Something worth telling."""

    event_id: Ident
    event_type: Name50
    event_level: Word[EventLevel]
    message: Text
    component: Line50 | None = None
    details: JsonObject | None = None
    event_time: FactTime | None = None
    symbol: Symbol | None = None
    order_id: Ident | None = None
    trade_id: Ident | None = None
    error_code: Line50 | None = None
    stack_trace: Text | None = None

    def to_domain(self) -> NewEvent:
        body = self.model_dump()
        return NewEvent(body=body, **body)


class EventsIn(StrictModel):
    """Up to 1000 events, stored together or not at all."""

    events: Annotated[list[EventIn], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def are_distinct(self) -> Self:
        if len({event.event_id for event in self.events}) != len(self.events):
            raise wrong("whole", "an event_id stands twice")
        return self


class PriceIn(StrictModel):
    """The last price of a symbol."""

    symbol: Symbol
    price: PositiveDecimal
    timestamp: FactTime

    def to_domain(self) -> PriceTick:
        return PriceTick(symbol=self.symbol, price=self.price, timestamp=self.timestamp)


class PricesIn(StrictModel):
    """Up to 1000 prices; they feed the live layer, not the ledger."""

    prices: Annotated[list[PriceIn], Field(min_length=1, max_length=1000)]


class OrderUpdateOp(OrderUpdateIn):
    """An order update inside a batch names its order."""

    order_id: Ident

    @model_validator(mode="after")
    def says_something(self) -> Self:
        if not self.model_dump(exclude_none=True, exclude={"at", "order_id"}):
            raise wrong("whole", "tell at least one thing besides the time")
        return self

    def news(self) -> OrderNews:
        body = self.model_dump(exclude={"order_id"})
        return OrderNews(body=body, order_id=self.order_id, **body)


# The body of each kind of operation, and the field that names it in the answer.
OPERATION_MODELS: dict[str, tuple[type[StrictModel], str]] = {
    "signal": (SignalIn, "signal_id"),
    "order": (OrderIn, "order_id"),
    "fill": (FillIn, "fill_id"),
    "balance": (BalanceIn, "balance_id"),
    "event": (EventIn, "event_id"),
    "order_update": (OrderUpdateOp, "order_id"),
}


class OperationIn(StrictModel):
    """One operation of a batch. Its data are read on their own, so that a malformed one fails alone."""

    op: Literal["signal", "order", "fill", "balance", "event", "order_update"]
    data: dict[str, Any]


class BatchIn(StrictModel):
    """Up to 1000 operations, applied in order, each all-or-nothing on its own."""

    operations: Annotated[list[OperationIn], Field(min_length=1, max_length=1000)]


class EmptyIn(StrictModel):
    """A call without a body."""
