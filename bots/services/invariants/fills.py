"""Fills, and what they lead to."""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from bots.services.invariants.base import Invariant, invariant
from bots.services.invariants.parts import DERIVED, PARTS

AGREES = """
    SELECT f.bot_id, f.fill_id, f.order_id, f.symbol, o.symbol AS order_symbol, f.side, o.side AS order_side,
        a.exchange, b.exchange AS bot_exchange
    FROM fills f
    JOIN orders o USING (bot_id, order_id)
    JOIN bots b USING (bot_id)
    LEFT JOIN exchange_accounts a ON a.id = f.account_id
    WHERE f.symbol <> o.symbol OR f.side <> o.side OR a.exchange IS DISTINCT FROM b.exchange
"""
TWICE = """
    SELECT 'execution' AS kind, account_id::text AS owner, symbol, exchange_trade_id AS id, count(*) AS times,
        array_agg(bot_id || ' ' || fill_id ORDER BY bot_id, fill_id) AS fills
    FROM fills WHERE exchange_trade_id IS NOT NULL
    GROUP BY account_id, symbol, exchange_trade_id HAVING count(*) > 1
    UNION ALL
    SELECT 'fill', bot_id, min(symbol), fill_id, count(*), array_agg(order_id::text ORDER BY order_id)
    FROM fills GROUP BY bot_id, fill_id HAVING count(*) > 1
"""
# In a sweep: what was touched, against all executions. Fill ids of a bot are the key of a unique index.
TWICE_IN_SWEEPS = """
    SELECT 'execution' AS kind, w.account_id::text AS owner, w.symbol, w.exchange_trade_id AS id, count(*) AS times,
        array_agg(w.bot_id || ' ' || w.fill_id ORDER BY w.bot_id, w.fill_id) AS fills
    FROM (SELECT DISTINCT account_id, symbol, exchange_trade_id FROM fills WHERE exchange_trade_id IS NOT NULL) f
    JOIN trading.fills w USING (account_id, symbol, exchange_trade_id)
    GROUP BY w.account_id, w.symbol, w.exchange_trade_id HAVING count(*) > 1
    UNION ALL
    SELECT 'fill', w.bot_id, min(w.symbol), w.fill_id, count(*), array_agg(w.order_id::text ORDER BY w.order_id)
    FROM (SELECT DISTINCT bot_id, fill_id FROM fills) f JOIN trading.fills w USING (bot_id, fill_id)
    GROUP BY w.bot_id, w.fill_id HAVING count(*) > 1
"""
# What is held after each fill; at zero a position is over, so that zero comes with its last fill only.
RUNNING = f"""
    SELECT bot_id, position_id, fill_id, executed_at, size_after, size_after < 0 AS is_below_zero
    FROM (
        SELECT bot_id, position_id, fill_id, executed_at,
            sum(entered - closed) OVER (chain ROWS UNBOUNDED PRECEDING) AS size_after,
            lead(fill_id) OVER chain IS NULL AS is_last
        FROM ({PARTS}) AS parts JOIN positions USING (bot_id, position_id)
        WINDOW chain AS (PARTITION BY bot_id, position_id ORDER BY executed_at, fill_id)
    ) AS running
    WHERE size_after < 0 OR (size_after = 0 AND NOT is_last)
"""  # no value stands in it  # nosec B608
ORPHANS = f"""
    SELECT 'fill without its order' AS problem, f.bot_id, f.fill_id AS id, f.order_id AS points_to
    FROM fills f LEFT JOIN trading.orders o USING (bot_id, order_id) WHERE o.order_id IS NULL
    UNION ALL
    SELECT 'fill without its position', f.bot_id, f.fill_id, f.position_id
    FROM fills f LEFT JOIN trading.positions p USING (bot_id, position_id) WHERE p.position_id IS NULL
    UNION ALL
    SELECT 'fill without the position it opened', f.bot_id, f.fill_id, f.opened_position_id
    FROM fills f LEFT JOIN trading.positions p ON p.bot_id = f.bot_id AND p.position_id = f.opened_position_id
    WHERE f.opened_position_id IS NOT NULL AND p.position_id IS NULL
    UNION ALL
    SELECT 'position without a fill', p.bot_id, p.position_id, p.opening_fill_id
    FROM positions p LEFT JOIN (
        SELECT bot_id, position_id FROM fills UNION SELECT bot_id, opened_position_id FROM fills
    ) f USING (bot_id, position_id)
    WHERE {DERIVED} AND f.position_id IS NULL
    UNION ALL
    SELECT 'order without the position of its newest fill', o.bot_id, o.order_id, o.position_id
    FROM orders o JOIN (
        SELECT DISTINCT ON (bot_id, order_id) bot_id, order_id, coalesce(opened_position_id, position_id) AS newest
        FROM fills ORDER BY bot_id, order_id, executed_at DESC, fill_id DESC
    ) n USING (bot_id, order_id)
    WHERE o.position_id IS DISTINCT FROM n.newest
    UNION ALL
    SELECT 'order without its trade', o.bot_id, o.order_id, o.trade_id
    FROM orders o LEFT JOIN trading.trades t USING (bot_id, trade_id)
    WHERE o.trade_id IS NOT NULL AND (t.trade_id IS NULL OR t.position_id IS DISTINCT FROM o.position_id)
    UNION ALL
    SELECT 'closed position with other fills', p.bot_id, p.position_id,
        concat_ws(' ', p.entry_trade_ids::text, p.exit_trade_ids::text)
    FROM positions p JOIN (
        SELECT bot_id, position_id,
            array_agg(fill_id::text ORDER BY executed_at, fill_id) FILTER (WHERE entered > 0) AS entries,
            array_agg(fill_id::text ORDER BY executed_at, fill_id) FILTER (WHERE closed > 0) AS exits
        FROM ({PARTS}) AS parts GROUP BY bot_id, position_id
    ) l USING (bot_id, position_id)
    WHERE {DERIVED} AND p.size = 0 AND (p.entry_trade_ids <> l.entries OR p.exit_trade_ids <> l.exits)
    UNION ALL
    SELECT 'signal without its order', s.bot_id, s.signal_id, s.execution_order_id
    FROM signals s LEFT JOIN trading.orders o ON o.bot_id = s.bot_id AND o.order_id = s.execution_order_id
    WHERE s.execution_order_id IS NOT NULL AND o.order_id IS NULL
    UNION ALL
    SELECT 'signal without its trade', s.bot_id, s.signal_id, s.execution_trade_id
    FROM signals s LEFT JOIN trading.trades t ON t.bot_id = s.bot_id AND t.trade_id = s.execution_trade_id
    WHERE s.execution_trade_id IS NOT NULL AND t.trade_id IS NULL
"""  # no value stands in it  # nosec B608

INVARIANTS: tuple[Invariant, ...] = (
    invariant(
        "I06_fill_agrees_with_its_order",
        "A fill has the symbol and side of its order, and was made at its bot's exchange.",
        AGREES,
    ),
    invariant(
        "I07_no_execution_twice",
        "No execution of an exchange account, and no fill id of a bot, stands in the ledger twice.",
        TWICE,
        in_sweeps=TWICE_IN_SWEEPS,
    ),
    invariant(
        "I11_no_fill_takes_a_position_below_zero",
        "A position, fill by fill, stays above zero until its last fill.",
        RUNNING,
    ),
    invariant(
        "I37_nothing_points_nowhere",
        "Fills, orders and signals lead to rows of the same bot, and every derived position has a fill.",
        ORPHANS,
    ),
)
