"""The fold: executions of one bot in one symbol, in the order (executed_at, fill_id), become positions.

Average cost. An execution against the position reduces it; what goes beyond zero opens the opposite one, and its fee
is split by quantity. Money is exact: products are kept whole, only a share of the cost basis is rounded (36 places,
half even), so every way of folding the same executions gives the same digits.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from bots.choices import Direction, Side

EXACT = Context(prec=160, rounding=ROUND_HALF_EVEN)
EXACT_STEP = Decimal(1).scaleb(-36)
AMOUNT_STEP = Decimal(1).scaleb(-18)
RATIO_STEP = Decimal(1).scaleb(-12)
RATIO_LIMIT = Decimal(10) ** 12
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill as the fold sees it; `fee` is in the quote currency."""

    fill_id: str
    executed_at: datetime
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal = ZERO

    @property
    def key(self) -> tuple[datetime, str]:
        return self.executed_at, self.fill_id


@dataclass(frozen=True, slots=True)
class PositionState:
    """A position after some executions. `size` is what is held, `quantity` all that was entered."""

    side: Direction
    opening_fill_id: str
    opened_at: datetime
    size: Decimal
    quantity: Decimal
    cost_basis: Decimal
    entry_notional: Decimal
    exit_notional: Decimal
    realized_pnl: Decimal
    fees: Decimal
    fill_count: int
    last_fill_id: str
    last_fill_at: datetime
    last_price: Decimal

    @property
    def is_open(self) -> bool:
        return self.size > 0

    @property
    def avg_entry_price(self) -> Decimal:
        """Average cost of what is held; of all that was entered, once flat. 18 places."""
        if self.is_open:
            return quotient(self.cost_basis, self.size)
        return self.entry_price

    @property
    def entry_price(self) -> Decimal:
        return quotient(self.entry_notional, self.quantity)

    @property
    def exit_price(self) -> Decimal | None:
        exited = EXACT.subtract(self.quantity, self.size)
        return quotient(self.exit_notional, exited) if exited > 0 else None

    @property
    def net_pnl(self) -> Decimal:
        return EXACT.subtract(self.realized_pnl, self.fees)

    @property
    def return_on_entry(self) -> Decimal:
        """Net P&L as a fraction of the entries' notional, 12 places."""
        return fraction(self.net_pnl, self.entry_notional)

    def unrealized_at(self, price: Decimal) -> Decimal:
        """Gross P&L of what is held at a price, exact."""
        value = EXACT.multiply(price, self.size)
        if self.side == Direction.LONG:
            return EXACT.subtract(value, self.cost_basis)
        return EXACT.subtract(self.cost_basis, value)


@dataclass(frozen=True, slots=True)
class Effect:
    """What one execution did: which positions it touched, and its own share of the figures.

    `closed` is the position it reduced, `opened` the one it entered; a fill that crosses zero has both.
    """

    execution: Execution
    reduced: PositionState | None
    entered: PositionState | None
    closed_quantity: Decimal
    closing_fee: Decimal
    realized_pnl: Decimal


def quotient(value: Decimal, by: Decimal) -> Decimal:
    """Return value / by, 18 places, half even."""
    return EXACT.divide(value, by).quantize(AMOUNT_STEP, context=EXACT)


def fraction(part: Decimal, whole: Decimal) -> Decimal:
    """Return part / whole with 12 places; 0 where the whole is 0 or the column could not hold the result."""
    if not whole:
        return ZERO
    value = EXACT.divide(part, whole).quantize(RATIO_STEP, context=EXACT)
    return value if abs(value) < RATIO_LIMIT else ZERO


def position_id_of(bot_id: str, symbol: str, opening_fill_id: str) -> str:
    """Return the id of the position that a fill opens: the same fills give the same ids, in every rebuild."""
    text = "\x1f".join((bot_id, symbol, opening_fill_id))
    return "pos_" + hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def trade_id_of(position_id: str) -> str:
    """Return the id of the round trip that belongs to a position."""
    return "trd_" + position_id.removeprefix("pos_")


def apply(state: PositionState | None, execution: Execution) -> Effect:
    """Return what one execution does to the open position, None being flat."""
    direction = Direction.LONG if execution.side == Side.BUY else Direction.SHORT
    if state is None or not state.is_open:
        return Effect(execution, None, _open(direction, execution, execution.quantity, execution.fee), ZERO, ZERO, ZERO)
    if state.side == direction:
        return Effect(execution, None, _enter(state, execution), ZERO, ZERO, ZERO)
    return _reduce(state, execution, direction)


def opened_by(execution: Execution, *, closed_quantity: Decimal, closing_fee: Decimal) -> PositionState:
    """Return the position that an execution opened with what it did not need to close the one before."""
    side = Direction.LONG if execution.side == Side.BUY else Direction.SHORT
    quantity = EXACT.subtract(execution.quantity, closed_quantity)
    return _open(side, execution, quantity, EXACT.subtract(execution.fee, closing_fee))


def fold(executions: Iterable[Execution], state: PositionState | None = None) -> list[Effect]:
    """Fold executions that stand in the order (executed_at, fill_id), starting from a state."""
    effects = []
    for execution in executions:
        effect = apply(state, execution)
        effects.append(effect)
        state = effect.entered or effect.reduced
    return effects


def _open(side: Direction, execution: Execution, quantity: Decimal, fee: Decimal) -> PositionState:
    notional = EXACT.multiply(execution.price, quantity)
    return PositionState(
        side=side,
        opening_fill_id=execution.fill_id,
        opened_at=execution.executed_at,
        size=quantity,
        quantity=quantity,
        cost_basis=notional,
        entry_notional=notional,
        exit_notional=ZERO,
        realized_pnl=ZERO,
        fees=fee,
        fill_count=1,
        last_fill_id=execution.fill_id,
        last_fill_at=execution.executed_at,
        last_price=execution.price,
    )


def _enter(state: PositionState, execution: Execution) -> PositionState:
    notional = EXACT.multiply(execution.price, execution.quantity)
    return replace(
        state,
        size=EXACT.add(state.size, execution.quantity),
        quantity=EXACT.add(state.quantity, execution.quantity),
        cost_basis=EXACT.add(state.cost_basis, notional),
        entry_notional=EXACT.add(state.entry_notional, notional),
        fees=EXACT.add(state.fees, execution.fee),
        fill_count=state.fill_count + 1,
        last_fill_id=execution.fill_id,
        last_fill_at=execution.executed_at,
        last_price=execution.price,
    )


def _reduce(state: PositionState, execution: Execution, direction: Direction) -> Effect:
    closed = min(state.size, execution.quantity)
    beyond = EXACT.subtract(execution.quantity, closed)
    closing_fee = execution.fee
    if beyond:
        share = EXACT.divide(EXACT.multiply(execution.fee, closed), execution.quantity)
        closing_fee = share.quantize(EXACT_STEP, context=EXACT)
    cost = state.cost_basis
    if closed < state.size:
        cost = EXACT.divide(EXACT.multiply(state.cost_basis, closed), state.size).quantize(EXACT_STEP, context=EXACT)
    proceeds = EXACT.multiply(execution.price, closed)
    realized = EXACT.subtract(proceeds, cost) if state.side == Direction.LONG else EXACT.subtract(cost, proceeds)
    reduced = replace(
        state,
        size=EXACT.subtract(state.size, closed),
        cost_basis=EXACT.subtract(state.cost_basis, cost),
        exit_notional=EXACT.add(state.exit_notional, proceeds),
        realized_pnl=EXACT.add(state.realized_pnl, realized),
        fees=EXACT.add(state.fees, closing_fee),
        fill_count=state.fill_count + 1,
        last_fill_id=execution.fill_id,
        last_fill_at=execution.executed_at,
        last_price=execution.price,
    )
    entered = _open(direction, execution, beyond, EXACT.subtract(execution.fee, closing_fee)) if beyond else None
    return Effect(execution, reduced, entered, closed, closing_fee, realized)
