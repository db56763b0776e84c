"""The invariants of the ledger: rules that hold at every moment, each a question that finds the rows breaking it."""

from bots.services.invariants import fills, money, orders, positions, replay, rows, trades, trail

INVARIANTS = (
    *orders.INVARIANTS,
    *fills.INVARIANTS,
    *positions.INVARIANTS,
    *trades.INVARIANTS,
    *money.INVARIANTS,
    *rows.INVARIANTS,
    *trail.INVARIANTS,
    *replay.INVARIANTS,
)
