"""The paper broker: what an exchange account would do with the bots' orders. Pure and exact.

Positions are kept at average cost with the exact sum of what they cost, signed like the size, so that
balance = capital + realised - fees and equity = balance + unrealised hold to the last digit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal, localcontext

FEE_RATE = Decimal("0.00055")
# Each further part of a market order fills this much worse, inside the candle's range.
SLIPPAGE = Decimal("0.0001")
_FEE_STEP = Decimal("1e-8")
_AMOUNT_STEP = Decimal("1e-18")
# A share of a cost that does not come out even is cut here, like the ledger does it.
_COST_STEP = Decimal("1e-36")
_EXACT = Context(prec=160)
# Quantities are multiples of 20 lots: halves and the shares below are whole lots then, and the cost
# released by each part stays a finite decimal.
_LOTS_PER_STEP = 20
_WHOLE = (Decimal(1),)
_SPLITS = (_WHOLE, (Decimal("0.6"), Decimal("0.4")), _WHOLE, (Decimal("0.5"), Decimal("0.3"), Decimal("0.2")))
_HALF_SPLITS = (_WHOLE, (Decimal("0.4"), Decimal("0.6")))


@dataclass(slots=True)
class Held:
    """What the account holds in one symbol: size and cost are positive for a long, negative for a short."""

    size: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)

    @property
    def average_price(self) -> Decimal:
        with localcontext(_EXACT):
            return (self.cost / self.size).quantize(_AMOUNT_STEP).normalize()


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order as the broker sees it. `low` and `high` bound its prices, `number` decides how it is split.

    parts: "any" for one to three, "half" for those that suit half a position, "one" for a single fill.
    """

    side: str
    quantity: Decimal
    price: Decimal
    low: Decimal
    high: Decimal
    price_step: Decimal
    number: int
    slips: bool = True
    parts: str = "any"


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill: a part of an order at a price, with its fee in the quote currency."""

    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


class Broker:
    """One bot's account in the quote currency."""

    def __init__(self, balance: Decimal) -> None:
        self.balance = balance
        self.held: dict[str, Held] = {}
        self.marks: dict[str, Decimal] = {}

    def mark(self, symbol: str, price: Decimal) -> None:
        """Take a price for valuing the position."""
        self.marks[symbol] = price

    def size(self, symbol: str) -> Decimal:
        """The signed size held in a symbol, zero when flat."""
        held = self.held.get(symbol)
        return held.size if held else Decimal(0)

    def apply(self, symbol: str, execution: Execution) -> Decimal:
        """Book one fill and return the gross profit it realises.

        A fill larger than an opposite position closes it and opens the rest on the other side.
        """
        signed = execution.quantity if execution.side == "buy" else -execution.quantity
        held = self.held.setdefault(symbol, Held())
        realised = Decimal(0)
        with localcontext(_EXACT):
            if held.size * signed < 0:
                closing = min(abs(signed), abs(held.size)).copy_sign(signed)
                left = held.size + closing
                released = (held.cost * abs(closing) / abs(held.size)).quantize(_COST_STEP)
                realised = -(closing * execution.price) - released
                held.size, held.cost = left, held.cost - released
                signed -= closing
            held.size += signed
            held.cost += signed * execution.price
            self.balance += realised - execution.fee
        self.marks[symbol] = execution.price
        if held.size == 0:
            del self.held[symbol]
        return realised

    def unrealised(self) -> Decimal:
        """Gross profit of the open positions at the last marks."""
        with localcontext(_EXACT):
            parts = (held.size * self.marks[symbol] - held.cost for symbol, held in self.held.items())
            return sum(parts, Decimal(0))

    def equity(self) -> Decimal:
        with localcontext(_EXACT):
            return self.balance + self.unrealised()

    def margin(self, leverage: int) -> Decimal:
        """What the open positions lock at a leverage, never more than the balance."""
        with localcontext(_EXACT):
            used = sum((abs(held.cost) for held in self.held.values()), Decimal(0)) / leverage
            return max(Decimal(0), min(used, self.balance))


def amount(value: Decimal) -> Decimal:
    """Return a sum of money with the 18 decimals that the API takes."""
    with localcontext(_EXACT):
        return value.quantize(_AMOUNT_STEP)


def fee_for(quantity: Decimal, price: Decimal) -> Decimal:
    """Return the fee of a fill: 5.5 bps of its value, rounded to eight decimals."""
    with localcontext(_EXACT):
        return (quantity * price * FEE_RATE).quantize(_FEE_STEP)


def order_quantity(value: Decimal, price: Decimal) -> Decimal:
    """Return how much of a symbol a value in quote currency buys, in whole steps of 20 lots; zero if it buys none.

    A lot is the power of ten that is worth 0.01 to 0.1 quote units.
    """
    step = Decimal(_LOTS_PER_STEP).scaleb(-price.adjusted() - 2)
    with localcontext(_EXACT):
        return (value / price / step).quantize(Decimal(1), rounding=ROUND_DOWN) * step


def executions(ticket: Ticket) -> Iterator[Execution]:
    """Yield the fills of an order, one to three."""
    splits = {"any": _SPLITS, "half": _HALF_SPLITS, "one": (_WHOLE,)}[ticket.parts]
    for part, share in enumerate(splits[ticket.number % len(splits)]):
        quantity = ticket.quantity * share
        price = _slipped(ticket, part) if ticket.slips else ticket.price
        yield Execution(ticket.side, quantity, price, fee_for(quantity, price))


def _slipped(ticket: Ticket, part: int) -> Decimal:
    worse = SLIPPAGE * part if ticket.side == "buy" else -SLIPPAGE * part
    price = (ticket.price * (1 + worse)).quantize(ticket.price_step)
    return min(max(price, ticket.low), ticket.high)
