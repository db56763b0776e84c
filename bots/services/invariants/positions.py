"""Positions and the fills they are derived from."""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from bots.services.invariants.base import Invariant, invariant
from bots.services.invariants.parts import DERIVED, HALF_MONEY, OPEN, SUMS_OF_POSITIONS

# By what each fill says it did to a position, by all fills of a bot in a symbol, whatever they say, and fill by fill:
# what it closed and what it opened is all of it. A sweep has not all fills of a symbol, and does without the second.
SIZE = f"""
    SELECT p.bot_id, p.symbol, p.position_id, p.side, p.size, s.entered - s.closed AS size_by_fills,
        p.quantity, s.entered AS quantity_by_fills
    FROM positions p JOIN ({SUMS_OF_POSITIONS}) s USING (bot_id, position_id)
    WHERE {DERIVED} AND (p.size <> s.entered - s.closed OR p.quantity <> s.entered
        OR s.least_side <> p.side OR s.greatest_side <> p.side)
    UNION ALL
    SELECT bot_id, symbol, NULL, NULL, h.size, f.size, NULL, NULL
    FROM (
        SELECT bot_id, symbol, sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS size
        FROM fills GROUP BY bot_id, symbol
    ) f
    FULL JOIN (
        SELECT p.bot_id, p.symbol, sum(CASE p.side WHEN 'long' THEN p.size ELSE -p.size END) AS size
        FROM positions p WHERE {DERIVED} GROUP BY p.bot_id, p.symbol
    ) h USING (bot_id, symbol)
    WHERE %(since)s::timestamptz IS NULL AND coalesce(h.size, 0) <> coalesce(f.size, 0)
    UNION ALL
    SELECT bot_id, symbol, position_id, NULL, closed_quantity, quantity, NULL, NULL FROM fills
    WHERE (closed_quantity <> 0 AND opened_position_id IS NULL AND closed_quantity <> quantity)
        OR (opened_position_id IS NOT NULL AND (closed_quantity = 0 OR closed_quantity >= quantity))
"""  # no value stands in it  # nosec B608
REALIZED = f"""
    SELECT p.bot_id, p.symbol, p.position_id, p.realized_pnl, p.cost_basis, p.avg_entry_price, p.entry_notional,
        s.entry_notional AS entries_by_fills, p.exit_notional, s.exit_notional AS exits_by_fills, p.unrealized_pnl
    FROM positions p JOIN ({SUMS_OF_POSITIONS}) s USING (bot_id, position_id)
    WHERE {DERIVED} AND (
        p.entry_notional <> s.entry_notional OR p.exit_notional <> s.exit_notional
        OR p.realized_pnl <> CASE p.side
            WHEN 'long' THEN p.exit_notional - p.entry_notional + p.cost_basis
            ELSE p.entry_notional - p.exit_notional - p.cost_basis
        END
        OR (p.size = 0 AND p.cost_basis <> 0)
        OR abs(p.avg_entry_price * p.size - p.cost_basis) > p.size * {HALF_MONEY}
        OR (p.size = 0 AND abs(p.avg_entry_price * p.quantity - p.entry_notional) > p.quantity * {HALF_MONEY})
        OR p.unrealized_pnl IS DISTINCT FROM CASE
            WHEN p.size = 0 THEN 0
            WHEN p.side = 'long' THEN p.current_price * p.size - p.cost_basis
            ELSE p.cost_basis - p.current_price * p.size
        END
        OR p.total_pnl <> p.realized_pnl + p.unrealized_pnl
    )
"""  # no value stands in it  # nosec B608
SUMS = f"""
    SELECT p.bot_id, p.symbol, p.position_id, p.realized_pnl, s.realized AS realized_by_fills, p.fees,
        s.fees AS fees_by_fills, p.fill_count, s.fills
    FROM positions p JOIN ({SUMS_OF_POSITIONS}) s USING (bot_id, position_id)
    WHERE {DERIVED} AND (p.realized_pnl <> s.realized OR p.fees <> s.fees OR p.fill_count <> s.fills)
"""  # no value stands in it  # nosec B608
# Of a derived position the ends are those of its first and its last fill.
CLOSED = f"""
    SELECT p.bot_id, p.symbol, p.position_id, p.status, p.size, p.opened_at, p.closed_at,
        f.executed_at AS opening_fill_at, l.executed_at AS closing_fill_at
    FROM positions p
    LEFT JOIN fills f ON f.bot_id = p.bot_id AND f.fill_id = p.opening_fill_id
    LEFT JOIN fills l ON l.bot_id = p.bot_id AND l.fill_id = p.closing_fill_id
    WHERE (p.status IN {OPEN}) <> (p.size > 0) OR p.size < 0 OR (p.closed_at IS NULL) <> (p.size > 0)
        OR p.closed_at < p.opened_at
        OR ({DERIVED} AND (
            f.executed_at IS DISTINCT FROM p.opened_at OR l.executed_at IS DISTINCT FROM p.closed_at
            OR (p.closed_at IS NOT NULL AND p.closing_fill_id IS DISTINCT FROM p.last_fill_id)
        ))
"""  # no value stands in it  # nosec B608
ONE_OPEN = f"""
    SELECT bot_id, symbol, count(*) AS open_positions, array_agg(position_id::text ORDER BY position_id) AS positions
    FROM positions WHERE status IN {OPEN} GROUP BY bot_id, symbol HAVING count(*) > 1
"""  # no value stands in it  # nosec B608

INVARIANTS: tuple[Invariant, ...] = (
    invariant(
        "I08_position_size_is_signed_sum_of_fills",
        "What is held is the signed sum of the fills, position by position and over all fills of a symbol.",
        SIZE,
    ),
    invariant(
        "I09_realized_pnl_is_cash_flow_plus_cost_basis",
        "Realised P&L = cash in - cash out + signed cost basis; average and unrealised P&L follow from the cost basis.",
        REALIZED,
    ),
    invariant(
        "I10_position_pnl_and_fees_are_sums_over_fills",
        "A position's realised P&L, fees and number of fills are the sums over its fills.",
        SUMS,
    ),
    invariant(
        "I12_closed_position_is_flat",
        "Closed, size 0 and a closing time come together; the times are those of the first and the last fill.",
        CLOSED,
    ),
    invariant(
        "I13_one_open_position_per_symbol",
        "A bot has at most one open position in a symbol.",
        ONE_OPEN,
        tables={},
    ),
)
