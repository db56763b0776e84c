"""Orders and their fills."""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from bots.choices import OrderStatus
from bots.ledger.orders import MOVES
from bots.services.invariants.base import Invariant, invariant
from bots.services.invariants.parts import HALF_MONEY, SUMS_OF_ORDERS

FILLED_QUANTITY = f"""
    SELECT o.bot_id, o.order_id, o.filled_quantity, coalesce(s.filled, 0) AS sum_of_fills
    FROM orders o LEFT JOIN ({SUMS_OF_ORDERS}) s USING (bot_id, order_id)
    WHERE o.filled_quantity <> coalesce(s.filled, 0)
"""  # no value stands in it  # nosec B608
# filled + remaining - overfill = quantity; an overfill happened at the exchange and is a case for a person.
REMAINING = """
    SELECT o.bot_id, o.order_id, o.quantity, o.filled_quantity, o.remaining_quantity,
        greatest(o.filled_quantity - o.quantity, 0) AS overfill
    FROM orders o
    WHERE o.remaining_quantity <> greatest(o.quantity - o.filled_quantity, 0) OR o.filled_quantity < 0
        OR (o.filled_quantity > o.quantity AND NOT EXISTS (
            SELECT 1 FROM reconciliation_cases c
            WHERE c.bot_id = o.bot_id AND c.kind = 'overfill' AND c.subject_id = o.order_id
        ))
"""
# The rule of bots.ledger.orders.status_of, written a second time on purpose.
STATUS = f"""
    SELECT * FROM (
        SELECT o.bot_id, o.order_id, o.status, o.filled_quantity, o.quantity, o.filled_at, s.last_at AS last_fill_at,
            CASE
                WHEN o.filled_quantity >= o.quantity THEN 'filled'
                WHEN o.reported_status IN ('cancelled', 'rejected', 'expired', 'failed', 'deactivated')
                    THEN o.reported_status
                WHEN o.filled_quantity > 0 THEN 'partially_filled'
                WHEN o.reported_status IN ('filled', 'partially_filled') THEN 'submitted'
                ELSE o.reported_status
            END AS status_by_fills
        FROM orders o LEFT JOIN ({SUMS_OF_ORDERS}) s USING (bot_id, order_id)
    ) o
    WHERE status <> status_by_fills OR (status = 'filled' AND filled_at IS DISTINCT FROM last_fill_at)
"""  # no value stands in it  # nosec B608
# What was told and taken over, one after the other, must be allowed moves, and the last of it is what the order says.
# The first event shows what the telling came to: "filled" without a fill is submitted. What a bot told has a history.
HISTORY = """
    WITH told AS (
        SELECT bot_id, order_id, id, to_status, lag(to_status) OVER history AS before,
            lead(id) OVER history IS NULL AS is_last
        FROM order_events WHERE was_applied AND fill_id IS NULL AND to_status IS NOT NULL
        WINDOW history AS (PARTITION BY bot_id, order_id ORDER BY id)
    ), moves AS (
        SELECT * FROM unnest(%(olds)s::text[], %(news)s::text[]) AS m(old, new)
    )
    SELECT t.bot_id, t.order_id, t.id AS order_event, t.before AS from_status, t.to_status, o.reported_status
    FROM told t JOIN orders o USING (bot_id, order_id)
    WHERE (t.before <> t.to_status AND NOT EXISTS (
            SELECT 1 FROM moves m WHERE m.old = t.before AND m.new = t.to_status
        ))
        OR (t.is_last AND t.to_status <> o.reported_status
            AND NOT (t.before IS NULL AND t.to_status = 'submitted'
                AND o.reported_status IN ('filled', 'partially_filled')))
    UNION ALL
    SELECT o.bot_id, o.order_id, NULL, NULL, NULL, o.reported_status
    FROM orders o LEFT JOIN told t USING (bot_id, order_id)
    WHERE t.id IS NULL AND o.content_hash IS NOT NULL
"""
# Orders and changes of control states are numbered by one counter, each behind the lock of the scope (docs/adr/0013).
ADMITTED = """
    SELECT o.bot_id, o.order_id, o.id AS server_seq, o.control_seq, h.id AS halt, h.scope, h.target
    FROM (
        SELECT c.*, lead(c.id) OVER (PARTITION BY c.scope, c.target ORDER BY c.id) AS until FROM control_changes c
    ) h
    JOIN trading.orders o ON o.id > h.id AND (h.until IS NULL OR o.id < h.until) AND o.control_seq IS NOT NULL
    JOIN bots b USING (bot_id)
    WHERE h.state = 'HALTED' AND CASE h.scope WHEN 'all' THEN true WHEN 'bot' THEN o.bot_id = h.target
        WHEN 'symbol' THEN o.symbol = h.target ELSE b.exchange = h.target END
"""
AVERAGE = f"""
    SELECT o.bot_id, o.order_id, o.avg_fill_price, o.filled_notional, o.filled_quantity,
        coalesce(s.notional, 0) AS sum_of_fills
    FROM orders o LEFT JOIN ({SUMS_OF_ORDERS}) s USING (bot_id, order_id)
    WHERE o.filled_notional <> coalesce(s.notional, 0) OR (o.avg_fill_price IS NULL) <> (o.filled_quantity = 0)
        OR abs(o.avg_fill_price * o.filled_quantity - o.filled_notional) > o.filled_quantity * {HALF_MONEY}
"""  # no value stands in it  # nosec B608
FEES = f"""
    SELECT 'order' AS kind, o.bot_id, o.order_id AS id, o.fees AS stored, coalesce(s.fees, 0) AS sum_of_fills
    FROM orders o LEFT JOIN ({SUMS_OF_ORDERS}) s USING (bot_id, order_id)
    WHERE o.fees <> coalesce(s.fees, 0)
    UNION ALL
    SELECT 'fill', bot_id, fill_id, fee_quote, coalesce(fee * fee_rate, 0) FROM fills
    WHERE fee_quote <> coalesce(fee * fee_rate, 0)
"""  # no value stands in it  # nosec B608

_moves = [(str(old), str(new)) for old in OrderStatus for new in MOVES[old]]
INVARIANTS: tuple[Invariant, ...] = (
    invariant(
        "I01_filled_quantity_is_sum_of_fills",
        "An order's filled quantity is the sum of its fills.",
        FILLED_QUANTITY,
    ),
    invariant(
        "I02_remaining_is_quantity_minus_filled",
        "filled + remaining - overfill = quantity, and every overfill has its case.",
        REMAINING,
    ),
    invariant(
        "I03_order_status_agrees_with_fills",
        "An order's status follows from what was told and what was filled; it was filled at the time of its last fill.",
        STATUS,
    ),
    invariant(
        "I03_order_history_follows_allowed_moves",
        "What was told of an order and taken over are allowed moves, and the last of them is what the order says.",
        HISTORY,
        {"olds": [old for old, _ in _moves], "news": [new for _, new in _moves]},
    ),
    invariant(
        "I04_average_fill_price_is_notional_by_filled",
        "An order's notional is the exact sum of its fills; its average price is that by the filled quantity.",
        AVERAGE,
    ),
    invariant(
        "I05_order_fees_are_sum_of_fill_fees",
        "An order's fees are the sum of its fills' fees, and each of those is fee x rate.",
        FEES,
    ),
    invariant(
        "I38_no_order_admitted_under_a_halt",
        "No order request was admitted with a server sequence behind that of a halt of its scope, before its release.",
        ADMITTED,
    ),
)
