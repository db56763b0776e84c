"""Advisory transaction locks: one per (bot, symbol) serialises everything that folds into a position."""

from bots.services.plan import Sql

# Two spaces of keys, so that a symbol named like an order id does not wait for it.
LOCK_SYMBOL = """
    SELECT pg_advisory_xact_lock(hashtextextended('symbol' || chr(31) || %(bot)s || chr(31) || %(symbol)s, 0))
"""
LOCK_ORDER = """
    SELECT pg_advisory_xact_lock(hashtextextended('order' || chr(31) || %(bot)s || chr(31) || %(order)s, 0))
"""
LOCK_SYMBOL_OF_ORDER = """
    SELECT pg_advisory_xact_lock(hashtextextended('symbol' || chr(31) || o.bot_id || chr(31) || o.symbol, 0))
    FROM orders o WHERE o.bot_id = %(bot)s AND o.order_id = %(order)s
"""
LOCK_ADMISSION = "SELECT pg_advisory_xact_lock(hashtextextended('admission' || chr(31) || %(bot)s, 0))"
LOCK_ACCOUNT = "SELECT pg_advisory_xact_lock(hashtextextended('account' || chr(31) || %(account)s::text, 0))"
LOCK_DESK = "SELECT pg_advisory_xact_lock(hashtextextended(%(desk)s || chr(31) || %(row)s::text, 0))"
# Requests share the lock of every scope they are checked against; whoever changes a state takes that scope's alone
# (the trigger control_state_numbered builds the same key). Always in this order.
CONTROL_KEY = "hashtextextended('control' || chr(31) || %(scope)s || chr(31) || %(target)s, 0)"
SHARE = "pg_advisory_xact_lock_shared(hashtextextended('control' || chr(31) || '{}' || chr(31){}, 0))"
LOCK_CONTROLS = "SELECT " + ", ".join((
    SHARE.format("all", ""), *(SHARE.format(scope, f" || %({scope})s") for scope in ("exchange", "symbol", "bot")),
))  # fmt: skip
# In key order, so that two batches cannot wait for each other.
LOCK_MANY = """
    SELECT pg_advisory_xact_lock(k) FROM (
        SELECT DISTINCT hashtextextended('symbol' || chr(31) || %(bot)s || chr(31) || s.symbol, 0) AS k
        FROM (
            SELECT unnest(%(symbols)s::text[]) AS symbol
            UNION
            SELECT o.symbol FROM orders o WHERE o.bot_id = %(bot)s AND o.order_id = ANY(%(orders)s::text[])
        ) s
        ORDER BY k
    ) keys
"""
# Of a batch, too: many orders that are about to be stored.
LOCK_ORDERS = """
    SELECT pg_advisory_xact_lock(k) FROM (
        SELECT DISTINCT hashtextextended('order' || chr(31) || %(bot)s || chr(31) || o.id, 0) AS k
        FROM unnest(%(orders)s::text[]) AS o(id) ORDER BY k
    ) keys
"""


def lock_symbol(bot_id: str, symbol: str) -> Sql:
    """Wait for everything else that changes this bot's position in this symbol."""
    return Sql(LOCK_SYMBOL, {"bot": bot_id, "symbol": symbol})


def lock_order(bot_id: str, order_id: str) -> Sql:
    """Wait for an order that is just being stored, or for a fact that is just being parked for it."""
    return Sql(LOCK_ORDER, {"bot": bot_id, "order": order_id})


def lock_symbol_of_order(bot_id: str, order_id: str) -> Sql:
    """As lock_symbol, for the symbol of an order; locks nothing when there is no such order."""
    return Sql(LOCK_SYMBOL_OF_ORDER, {"bot": bot_id, "order": order_id})


def lock_admission(bot_id: str) -> Sql:
    """One order request of a bot at a time: limits are counted over all its symbols."""
    return Sql(LOCK_ADMISSION, {"bot": bot_id})


def share_controls(bot_id: str, exchange: str, symbol: str) -> Sql:
    """Keep every change of a state that applies to a request out until the request is committed (docs/adr/0013).

    The last lock a request takes: whoever waits to change a state holds up who waits for this one.
    """
    return Sql(LOCK_CONTROLS, {"bot": bot_id, "exchange": exchange, "symbol": symbol})


def lock_many(bot_id: str, symbols: list[str], orders: list[str]) -> Sql:
    """Take the symbol locks of a whole batch at once."""
    return Sql(LOCK_MANY, {"bot": bot_id, "symbols": symbols, "orders": orders})


def lock_orders(bot_id: str, orders: list[str]) -> Sql:
    """As lock_order, for many."""
    return Sql(LOCK_ORDERS, {"bot": bot_id, "orders": orders})


def lock_account(account_id: int) -> Sql:
    """One comparison of an account at a time: an older report must not undo what a newer one says."""
    return Sql(LOCK_ACCOUNT, {"account": account_id})


def lock_desk(desk: str, row_id: int) -> Sql:
    """One decision of people on a row at a time, taken before the locks of any bot.

    The row itself is not locked: a bot that holds its symbol may be about to write it.
    """
    return Sql(LOCK_DESK, {"desk": desk, "row": row_id})
