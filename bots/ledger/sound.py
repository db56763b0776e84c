"""The invariants of what one fill is about to write, asked of the values themselves, before they are sent.

What the fold starts from came out of the ledger; when it was changed there, or a rule is wrong, the identities between
the figures break here. No sums over fills are taken: the cost must not grow with the history.
"""

from datetime import datetime
from decimal import Decimal

from bots.choices import Direction, OrderStatus, Side
from bots.ledger.fold import EXACT, Effect, Execution, PositionState
from bots.ledger.orders import status_of

ZERO = Decimal(0)


def broken_by_order(*, status: str, reported: str, filled: Decimal, notional: Decimal, quantity: Decimal) -> list[str]:
    """Return the invariants that an order breaks as it is stored, before the fill."""
    broken = []
    if status != status_of(OrderStatus(reported), filled=filled, quantity=quantity):
        broken.append("I03_order_status_agrees_with_fills")
    if filled < 0 or (filled == 0) != (notional == 0):
        broken.append("I04_average_fill_price_is_notional_by_filled")
    return broken


def broken_by_fill(before: PositionState | None, effect: Effect, newest: tuple[datetime, str] | None) -> list[str]:
    """Return the invariants that the positions of a fill break once it is folded.

    newest: time and id of the newest fill of the chain that is stored, None where there is none.
    """
    if before is not None and not before.opening_fill_id:
        # An importer's own position: it follows from no fills.
        return []
    broken = []
    if before is not None and (before.last_fill_at, before.last_fill_id) != newest:
        broken.append("I12_closed_position_is_flat")
    if _held(effect.entered or effect.reduced) != EXACT.add(_held(before), _bought(effect.execution)):
        broken.append("I08_position_size_is_signed_sum_of_fills")
    for state in (effect.reduced, effect.entered):
        if state is not None:
            broken += broken_by_position(state)
    return sorted(set(broken))


def broken_by_position(state: PositionState) -> list[str]:
    """Return the invariants that the figures of one position break among themselves."""
    broken = []
    gain = EXACT.add(EXACT.subtract(state.exit_notional, state.entry_notional), state.cost_basis)
    if state.side == Direction.SHORT:
        gain = EXACT.subtract(EXACT.subtract(state.entry_notional, state.exit_notional), state.cost_basis)
    if state.realized_pnl != gain or (state.size == 0 and state.cost_basis != 0):
        broken.append("I09_realized_pnl_is_cash_flow_plus_cost_basis")
    if not 0 <= state.size <= state.quantity:
        broken.append("I11_no_fill_takes_a_position_below_zero")
    if state.last_fill_at < state.opened_at:
        broken.append("I12_closed_position_is_flat")
    return broken


def _held(state: PositionState | None) -> Decimal:
    if state is None:
        return ZERO
    return state.size if state.side == Direction.LONG else state.size.copy_negate()


def _bought(execution: Execution) -> Decimal:
    return execution.quantity if execution.side == Side.BUY else execution.quantity.copy_negate()
