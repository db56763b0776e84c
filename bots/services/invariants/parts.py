"""SQL that several invariants share."""

# ruff: noqa: S608 (the queries are put together from our own text alone)

OPEN = "('open', 'partially_closed')"
ACTIVE = "('pending', 'submitted', 'partially_filled', 'untriggered', 'triggered')"
# Half a unit of the last of 18 (money) and of 12 (ratios) digits: what correct rounding may be off by.
HALF_MONEY = "0.0000000000000000005"
HALF_RATIO = "0.0000000000005"

# What an importer found as a position of its own has no fills here; every other position is derived from them.
DERIVED = "(p.opening_fill_id <> '' OR p.source NOT LIKE 'import:%%')"

SUMS_OF_ORDERS = """
    SELECT bot_id, order_id, sum(quantity) AS filled, sum(price * quantity) AS notional, sum(fee_quote) AS fees,
        max(executed_at) AS last_at
    FROM fills GROUP BY bot_id, order_id
"""
# A fill stands in one position, or, when it crosses zero, in two: what it closed, and what it opened.
PARTS = """
    SELECT f.bot_id, f.symbol, f.fill_id, f.executed_at, f.side, f.price,
        c.position_id, c.entered, c.closed, c.fee, c.realized
    FROM fills f CROSS JOIN LATERAL (VALUES
        (f.position_id, CASE WHEN f.closed_quantity = 0 THEN f.quantity ELSE 0 END, f.closed_quantity,
            CASE WHEN f.closed_quantity = 0 THEN f.fee_quote ELSE f.closing_fee_quote END, f.realized_pnl),
        (f.opened_position_id, f.quantity - f.closed_quantity, 0, f.fee_quote - f.closing_fee_quote, 0)
    ) AS c(position_id, entered, closed, fee, realized)
    WHERE c.position_id IS NOT NULL
"""
# A long position is entered by buying and left by selling, a short one the other way round.
SUMS_OF_POSITIONS = f"""
    SELECT bot_id, position_id, sum(entered) AS entered, sum(closed) AS closed,
        sum(price * entered) AS entry_notional, sum(price * closed) AS exit_notional,
        sum(fee) AS fees, sum(realized) AS realized, count(*) AS fills,
        min(CASE WHEN (side = 'buy') = (entered > 0) THEN 'long' ELSE 'short' END) AS least_side,
        max(CASE WHEN (side = 'buy') = (entered > 0) THEN 'long' ELSE 'short' END) AS greatest_side
    FROM ({PARTS}) AS parts GROUP BY bot_id, position_id
"""  # no value stands in it  # nosec B608
