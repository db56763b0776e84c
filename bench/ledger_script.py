"""What bots tell in the ledger benchmark: the same facts for both sides, as plain values and as JSON."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

FILLS_PER_ORDER = 4
SLOW = "The loop took longer than usual."
QUANTITY = Decimal("0.5")
FEE_RATE = Decimal("0.00055")
# One unit of a batch tells of one order: signal, order, update, four fills; ten units and these make a hundred.
UNITS_PER_BATCH, BALANCES_PER_BATCH, EVENTS_PER_BATCH = 10, 15, 15
OPERATIONS_PER_BATCH = UNITS_PER_BATCH * (3 + FILLS_PER_ORDER) + BALANCES_PER_BATCH + EVENTS_PER_BATCH


class Fill(NamedTuple):
    """One execution of an order."""

    fill_id: str
    order_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    executed_at: datetime


class Order(NamedTuple):
    """One order that is at the exchange."""

    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    created_at: datetime


class Signal(NamedTuple):
    """What a strategy said."""

    signal_id: str
    symbol: str
    signal_type: str
    price: Decimal
    timestamp: datetime


class Update(NamedTuple):
    """The exchange took an order."""

    order_id: str
    exchange_order_id: str
    at: datetime


class Balance(NamedTuple):
    """What a bot owns at a moment."""

    balance_id: str
    equity: Decimal
    timestamp: datetime


class Event(NamedTuple):
    """Something worth telling."""

    event_id: str
    message: str
    event_time: datetime


Fact = Fill | Order | Signal | Update | Balance | Event


@dataclass(slots=True)
class Script:
    """The facts of one bot in one symbol, in turn: four fills buy, four sell and end flat.

    Of eight fills one opens a position, six change it and one closes it; four move their order's status. Two scripts
    of the same length tell the same prices and quantities, whatever their names.
    """

    name: str
    symbol: str
    begin: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))
    _told: int = 0
    _filled: int = 0
    _order: Order | None = None

    def fills(self, count: int) -> tuple[list[Order], list[Fill]]:
        """Return the next fills, and the orders that must be there before them. Orders are filled whole."""
        if count % FILLS_PER_ORDER:
            raise ValueError(f"{count} fills do not fill whole orders")
        orders, fills = [], []
        for _ in range(count // FILLS_PER_ORDER):
            orders.append(self.order())
            fills += [self.fill() for _ in range(FILLS_PER_ORDER)]
        return orders, fills

    def batch(self) -> list[Fact]:
        """Return a hundred mixed facts, in an order in which a bot could tell them."""
        facts: list[Fact] = []
        for number in range(UNITS_PER_BATCH):
            at, name = self._moment(), self._id("s")
            facts.append(Signal(name, self.symbol, "long" if number % 2 == 0 else "short", self._price(), at))
            order = self.order()
            facts += [order, Update(order.order_id, self._id("x"), self._moment())]
            facts += [self.fill() for _ in range(FILLS_PER_ORDER)]
        facts += [Balance(self._id("b"), Decimal(10_000 + n), self._moment()) for n in range(BALANCES_PER_BATCH)]
        facts += [Event(self._id("e"), SLOW, self._moment()) for _ in range(EVENTS_PER_BATCH)]
        return facts

    def order(self) -> Order:
        """Return the next order; the one before it is filled by now."""
        side = "buy" if self._filled // FILLS_PER_ORDER % 2 == 0 else "sell"
        self._order = Order(self._id("o"), self.symbol, side, QUANTITY * FILLS_PER_ORDER, self._moment())
        return self._order

    def fill(self) -> Fill:
        """Return the next fill of the order that was told last."""
        assert self._order is not None
        price = self._price()
        self._filled += 1
        fee = price * QUANTITY * FEE_RATE
        return Fill(self._id("f"), self._order.order_id, price, QUANTITY, fee, self._moment())

    def _price(self) -> Decimal:
        return Decimal(10_000 + self._filled * 37 % 501) / 100

    def _id(self, kind: str) -> str:
        return f"{self.name}-{kind}{self._told}"

    def _moment(self) -> datetime:
        self._told += 1
        return self.begin + timedelta(milliseconds=self._told)


def wire(fact: Fact) -> dict[str, Any]:
    """Return a fact as the API takes it."""
    data: dict[str, Any] = {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in fact._asdict().items()
    }
    data = {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in data.items()}
    match fact:
        case Order():
            data |= {"order_type": "market", "intent": "report", "strategy": "bench"}
        case Fill():
            data |= {"fee_currency": "USDT", "liquidity": "taker"}
        case Signal():
            data |= {"strategy": "bench", "indicators": {"ema_fast": 100.5, "ema_slow": 99.25}}
        case Update():
            data |= {"status": "submitted"}
        case Balance():
            data |= {"total_balance": data["equity"], "available_balance": data["equity"]}
        case Event():
            data |= {"event_type": "SLOW_LOOP", "event_level": "INFO"}
    return data


OPERATIONS = {
    Fill: "fill", Order: "order", Signal: "signal", Update: "order_update", Balance: "balance", Event: "event",
}  # fmt: skip


def batch_body(facts: list[Fact]) -> bytes:
    """Return the body of POST /batch."""
    return json.dumps({"operations": [{"op": OPERATIONS[type(fact)], "data": wire(fact)} for fact in facts]}).encode()


def fill_body(fill: Fill) -> bytes:
    """Return the body of POST /fills."""
    return json.dumps(wire(fill)).encode()
