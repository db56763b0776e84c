"""Trades: round trips derived from positions, or reported whole."""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from bots.services.invariants.base import Invariant, invariant
from bots.services.invariants.parts import DERIVED, HALF_MONEY, HALF_RATIO

# A bot that reports whole trades may leave the reason out; one derived from fills always has it.
EXIT = """
    SELECT bot_id, trade_id, origin, exit_time, exit_price, holding_time_seconds, exit_reason
    FROM trades
    WHERE (exit_price IS NULL) <> (exit_time IS NULL) OR (holding_time_seconds IS NULL) <> (exit_time IS NULL)
        OR (origin = 'fills' AND (exit_reason IS NULL) <> (exit_time IS NULL))
        OR exit_time < entry_time
        OR holding_time_seconds <> floor(extract(epoch FROM exit_time - entry_time))
"""
ONE_TO_ONE = f"""
    SELECT coalesce(p.bot_id, t.bot_id) AS bot_id, p.position_id, t.trade_id, p.symbol, t.symbol AS trade_symbol,
        p.side, t.side AS trade_side, p.opened_at, t.entry_time, p.closed_at, t.exit_time
    FROM (SELECT * FROM positions p WHERE {DERIVED}) p
    FULL JOIN (SELECT * FROM trades WHERE origin = 'fills') t
        ON t.bot_id = p.bot_id AND t.position_id = p.position_id
    WHERE p.position_id IS NULL OR t.trade_id IS NULL OR p.symbol <> t.symbol OR p.side <> t.side
        OR p.opened_at <> t.entry_time OR p.closed_at IS DISTINCT FROM t.exit_time
"""  # no value stands in it  # nosec B608
# The P&L of a reported trade is ours as well: computed from its prices.
PNL = f"""
    SELECT t.bot_id, t.trade_id, t.position_id, t.gross_pnl, p.realized_pnl AS gross_due, t.fees, p.fees AS fees_due,
        t.quantity, t.entry_price, t.exit_price, t.pnl_pct
    FROM trades t JOIN positions p ON p.bot_id = t.bot_id AND p.position_id = t.position_id
    WHERE t.origin = 'fills' AND {DERIVED} AND (
        t.gross_pnl <> p.realized_pnl OR t.fees <> p.fees OR t.pnl_usd <> t.gross_pnl - t.fees
        OR t.quantity <> p.quantity OR t.position_size_usd <> p.entry_notional
        OR abs(t.entry_price * p.quantity - p.entry_notional) > p.quantity * {HALF_MONEY}
        OR abs(t.exit_price * (p.quantity - p.size) - p.exit_notional) > (p.quantity - p.size) * {HALF_MONEY}
        OR (abs(t.gross_pnl - t.fees) < p.entry_notional * 1e12
            AND abs(t.pnl_pct * p.entry_notional - (t.gross_pnl - t.fees)) > p.entry_notional * {HALF_RATIO})
    )
    UNION ALL
    SELECT bot_id, trade_id, position_id, gross_pnl, due, fees, fees, quantity, entry_price, exit_price, pnl_pct
    FROM (
        SELECT *, CASE WHEN exit_price IS NULL THEN 0 WHEN side = 'long' THEN (exit_price - entry_price) * quantity
            ELSE (entry_price - exit_price) * quantity END AS due
        FROM trades WHERE origin = 'reported'
    ) t
    WHERE gross_pnl <> due OR pnl_usd <> gross_pnl - fees
"""  # no value stands in it  # nosec B608

INVARIANTS: tuple[Invariant, ...] = (
    invariant(
        "I14_closed_trade_has_all_exit_fields",
        "A closed trade has exit time, price, duration and reason, an open one none of them.",
        EXIT,
    ),
    invariant(
        "I15_trade_and_position_are_one_to_one",
        "Every derived position has one trade with its symbol, side and times, and every derived trade its position.",
        ONE_TO_ONE,
    ),
    invariant(
        "I16_trade_pnl_and_fees_are_those_of_its_position",
        "A trade's P&L, fees, quantity and prices are its position's; a reported one's follow from its own prices.",
        PNL,
    ),
)
