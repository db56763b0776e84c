"""Average cost in fractions, written from docs/ledger.md and decision 0003 alone; nothing of bots/ledger is used.

One rounding is part of the rules: the share of the cost basis, or of a fee, that a part takes with it has 36 decimals,
half even. With it every figure agrees with the stored one to the last digit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

ZERO = Fraction(0)


def rounded(value: Fraction, places: int) -> Fraction:
    """Return the value with so many decimals, half even."""
    return Fraction(round(value * 10**places), 10**places)


def share(part: Fraction, whole: Fraction) -> Fraction:
    """Return a ratio as its column holds it: 12 decimals, and 0 where the number is too large for it."""
    value = rounded(part / whole, 12)
    return value if abs(value) < 10**12 else ZERO


class Executed(NamedTuple):
    """One fill as the model folds it; `at` is in minutes, `fee` in the quote currency."""

    at: float
    fill_id: str
    order_id: str
    side: str
    price: Fraction
    quantity: Fraction
    fee: Fraction


@dataclass
class Round:
    """One position, from flat to flat, with the figures of its trade."""

    symbol: str
    side: str
    opening: Executed
    size: Fraction = ZERO
    quantity: Fraction = ZERO
    cost_basis: Fraction = ZERO
    entry_notional: Fraction = ZERO
    exit_notional: Fraction = ZERO
    realized_pnl: Fraction = ZERO
    fees: Fraction = ZERO
    entries: list[str] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    last: Executed | None = None
    is_flipped: bool = False

    def enter(self, one: Executed, quantity: Fraction, fee: Fraction) -> None:
        self.size += quantity
        self.quantity += quantity
        self.cost_basis += one.price * quantity
        self.entry_notional += one.price * quantity
        self.fees += fee
        self.entries.append(one.fill_id)
        self.last = one

    def leave(self, one: Executed, quantity: Fraction, fee: Fraction) -> None:
        is_all = quantity == self.size
        cost = self.cost_basis if is_all else rounded(self.cost_basis * quantity / self.size, 36)
        gain = one.price * quantity - cost
        self.realized_pnl += gain if self.side == "long" else -gain
        self.exit_notional += one.price * quantity
        self.cost_basis -= cost
        self.size -= quantity
        self.fees += fee
        self.exits.append(one.fill_id)
        self.last = one

    def figures(self, *, exit_reason: str) -> dict[str, Any]:
        """Return what positions and trades must say, by our names of their columns."""
        assert self.last is not None
        net = self.realized_pnl - self.fees
        entry_price = rounded(self.entry_notional / self.quantity, 18)
        exited = self.quantity - self.size
        paid = self.last.price * self.size
        unrealized = (paid - self.cost_basis if self.side == "long" else self.cost_basis - paid) if self.size else ZERO
        is_open = self.size > 0
        return {
            "symbol": self.symbol, "side": self.side, "status": "open" if is_open else "closed",
            "size": self.size, "quantity": self.quantity, "cost_basis": self.cost_basis,
            "avg_entry_price": rounded(self.cost_basis / self.size, 18) if is_open else entry_price,
            "entry_notional": self.entry_notional, "exit_notional": self.exit_notional,
            "realized_pnl": self.realized_pnl, "unrealized_pnl": unrealized, "fees": self.fees,
            "total_pnl": self.realized_pnl + unrealized, "current_price": self.last.price,
            "opened_at": self.opening.at, "closed_at": None if is_open else self.last.at,
            "opening_fill_id": self.opening.fill_id, "closing_fill_id": None if is_open else self.last.fill_id,
            "last_fill_id": self.last.fill_id, "fill_count": len(self.entries) + len(self.exits),
            "entry_trade_ids": [] if is_open else self.entries, "exit_trade_ids": [] if is_open else self.exits,
            "trade": {
                "symbol": self.symbol, "side": self.side, "quantity": self.quantity, "entry_price": entry_price,
                "exit_price": None if is_open else rounded(self.exit_notional / exited, 18),
                "position_size_usd": self.entry_notional, "entry_time": self.opening.at,
                "exit_time": None if is_open else self.last.at,
                "holding_time_seconds": None if is_open else int((self.last.at - self.opening.at) * 60),
                "gross_pnl": self.realized_pnl, "fees": self.fees, "pnl_usd": net,
                "pnl_pct": share(net, self.entry_notional), "exit_reason": None if is_open else exit_reason,
            },
        }  # fmt: skip


class Part(NamedTuple):
    """What one fill did: the position it closed a part of, the one it entered, and its own share of the figures."""

    left: str | None
    entered: str | None
    closed_quantity: Fraction
    closing_fee: Fraction
    realized_pnl: Fraction


def folded(symbol: str, executions: Iterable[Executed]) -> tuple[list[Round], dict[str, Part]]:
    """Return every round of one bot in one symbol, and each fill's part in them; positions go by their first fill."""
    rounds: list[Round] = []
    parts: dict[str, Part] = {}
    held: Round | None = None
    for one in sorted(executions, key=lambda one: (one.at, one.fill_id)):
        side = "long" if one.side == "buy" else "short"
        left, closed, closing_fee, gained = None, ZERO, ZERO, ZERO
        if held is not None and held.side != side:
            left, closed = held.opening.fill_id, min(held.size, one.quantity)
            closing_fee = one.fee if closed == one.quantity else rounded(one.fee * closed / one.quantity, 36)
            before = held.realized_pnl
            held.leave(one, closed, closing_fee)
            gained = held.realized_pnl - before
            if not held.size:
                held.is_flipped = closed < one.quantity
                held = None
        if closed < one.quantity:
            if held is None:
                held = Round(symbol, side, one)
                rounds.append(held)
            held.enter(one, one.quantity - closed, one.fee - closing_fee)
        entered = held.opening.fill_id if held is not None and closed < one.quantity else None
        parts[one.fill_id] = Part(left, entered, closed, closing_fee, gained)
    return rounds, parts


def exact(value: Any) -> Any:
    """Return a stored number as a fraction; everything else as it is."""
    return Fraction(value) if isinstance(value, Decimal) else value
