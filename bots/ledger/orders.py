"""The life of an order: which news moves its status, and what its status is, given its fills."""

from decimal import Decimal

from bots.choices import TERMINAL_ORDER_STATUSES
from bots.choices import OrderStatus as S

# What a told status may become. Fills are not in this table: they move an order by `status_of`.
MOVES: dict[S, frozenset[S]] = {
    S.PENDING: frozenset(S) - {S.PENDING},
    S.SUBMITTED: frozenset(S) - {S.PENDING, S.SUBMITTED},
    # A conditional order waits, is triggered, then lives as an ordinary one.
    S.UNTRIGGERED: frozenset(S) - {S.PENDING, S.UNTRIGGERED},
    S.TRIGGERED: frozenset(S) - {S.PENDING, S.UNTRIGGERED, S.TRIGGERED},
    # Real world possibility: the exchange cancels or expires the rest of an order that is partly filled.
    S.PARTIALLY_FILLED: frozenset({S.FILLED, S.CANCELLED, S.EXPIRED, S.FAILED, S.DEACTIVATED}),
    # Ends. A fill that was executed before the cancel and arrives after it still counts, by `status_of`.
    S.FILLED: frozenset(),
    S.CANCELLED: frozenset(),
    S.REJECTED: frozenset(),
    S.EXPIRED: frozenset(),
    S.FAILED: frozenset(),
    S.DEACTIVATED: frozenset(),
}


def may_move(old: S, new: S) -> bool:
    """Whether the table of allowed moves has this one; staying is not a move and always fine."""
    return old == new or new in MOVES[old]


def status_of(reported: S, *, filled: Decimal, quantity: Decimal) -> S:
    """Return the status of an order from what was told and what was filled.

    Filled is exactly "nothing remains": an order told to be filled waits as submitted for its fills.
    """
    if filled >= quantity:
        return S.FILLED
    if reported in TERMINAL_ORDER_STATUSES and reported != S.FILLED:
        return reported
    if filled > 0:
        return S.PARTIALLY_FILLED
    return S.SUBMITTED if reported in (S.FILLED, S.PARTIALLY_FILLED) else reported


def lacks_fills(reported: S, status: S) -> bool:
    """Whether fills were told of that have not come."""
    return reported in (S.FILLED, S.PARTIALLY_FILLED) and status not in (S.FILLED, reported)
