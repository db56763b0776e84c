"""Average cost by the book, in fractions: what a position must be, written independently of the project's fold."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple


class Execution(NamedTuple):
    """One fill; `key` is its place among the fills of its bot and symbol."""

    key: Any
    side: str
    price: Fraction
    quantity: Fraction


@dataclass(frozen=True)
class Holding:
    """What is held (negative: short), what it cost (negative: what it brought), and the realised P&L before fees."""

    size: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    realized: Fraction = Fraction(0)


def hold(executions: Iterable[Execution]) -> Holding:
    """Return what the executions of one bot in one symbol make, in whatever order they are given."""
    size = cost = realized = Fraction(0)
    for deal in sorted(executions, key=lambda deal: deal.key):
        quantity = deal.quantity if deal.side == "buy" else -deal.quantity
        if size * quantity >= 0:
            size, cost = size + quantity, cost + quantity * deal.price
            continue
        closed = min(abs(size), abs(quantity)) * (1 if quantity > 0 else -1)
        average = cost / size
        realized += -closed * (deal.price - average)
        size, cost = size + closed, cost + closed * average
        rest = quantity - closed
        size, cost = size + rest, cost + rest * deal.price
    return Holding(size, cost, realized)
