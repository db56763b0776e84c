"""What a sweep looks at: the orders, positions and trades that were written since the last run, with all their fills.

The rules are written for whole tables. In a sweep each runs with the tables' plain names standing for the rows of the
window alone; names with their schema (trading.fills) still mean every row, for what is only looked up.
"""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self

from django.db import connection

# Rows written by a transaction that was still open when the last run looked.
COMMIT_DELAY = timedelta(minutes=1)
# Time series (balances, candles, events) grow for ever; a sweep looks this far behind the last run at them.
BEHIND = timedelta(days=1)

# A fill belongs to an order and to a position or two; of each that was touched, every fill is looked at.
KEYS = """
    WITH touched_orders AS MATERIALIZED (
        SELECT bot_id, order_id FROM fills WHERE received_at >= %(from)s
        UNION
        SELECT bot_id, order_id FROM orders WHERE updated_at >= %(from)s
    ), touched_trades AS MATERIALIZED (
        SELECT id, bot_id, position_id FROM trades WHERE updated_at >= %(from)s
    ), touched_positions AS MATERIALIZED (
        SELECT f.bot_id, p.position_id FROM touched_orders JOIN fills f USING (bot_id, order_id)
        CROSS JOIN LATERAL (VALUES (f.position_id), (f.opened_position_id)) AS p(position_id)
        WHERE p.position_id IS NOT NULL
        UNION
        SELECT bot_id, position_id FROM positions WHERE updated_at >= %(from)s
        UNION
        SELECT bot_id, position_id FROM touched_trades WHERE position_id IS NOT NULL
    )
    SELECT 'order' AS kind, bot_id, order_id AS id FROM touched_orders
    UNION ALL
    SELECT 'position', bot_id, position_id FROM touched_positions
    UNION ALL
    SELECT 'trade', bot_id, id::text FROM touched_trades
"""
ORDERS = "unnest(%(w_order_bots)s::varchar[], %(w_orders)s::varchar[]) AS k(bot_id, order_id)"
POSITIONS = "unnest(%(w_position_bots)s::varchar[], %(w_positions)s::varchar[]) AS k(bot_id, position_id)"
# Lists of keys in place of tables; only what a query names is read.
TABLES = {
    "orders": f"""
        SELECT o.* FROM {ORDERS}
        JOIN trading.orders o USING (bot_id, order_id)
    """,  # no value stands in it  # nosec B608
    "order_events": f"""
        SELECT e.* FROM {ORDERS}
        JOIN trading.order_events e USING (bot_id, order_id)
    """,  # no value stands in it  # nosec B608
    "positions": f"""
        SELECT p.* FROM {POSITIONS}
        JOIN trading.positions p USING (bot_id, position_id)
    """,  # no value stands in it  # nosec B608
    "trades": f"""
        SELECT t.* FROM (
            SELECT unnest(%(w_trades)s::bigint[])
            UNION
            SELECT i.id FROM {POSITIONS}
            JOIN trading.trades i USING (bot_id, position_id)
        ) AS k(id) JOIN trading.trades t USING (id)
    """,  # no value stands in it  # nosec B608
    "fills": f"""
        SELECT f.* FROM (
            SELECT i.id FROM {ORDERS}
            JOIN trading.fills i USING (bot_id, order_id)
            UNION
            SELECT i.id FROM {POSITIONS}
            JOIN trading.fills i USING (bot_id, position_id)
            UNION
            SELECT i.id FROM {POSITIONS}
            JOIN trading.positions p USING (bot_id, position_id)
            JOIN trading.fills i ON i.bot_id = p.bot_id AND i.fill_id = p.opening_fill_id
        ) AS k(id) JOIN trading.fills f USING (id)
    """,  # no value stands in it  # nosec B608
    "signals": 'SELECT * FROM trading.signals WHERE "timestamp" >= %(recent)s',
    "account_balance": 'SELECT * FROM trading.account_balance WHERE "timestamp" >= %(recent)s',
}


@dataclass(frozen=True)
class Window:
    """The rows of one sweep. Its keys are read once, in the transaction of the sweep."""

    since: datetime

    @property
    def params(self) -> dict[str, Any]:
        """What rules and tables may name: %(since)s, %(recent)s, %(from)s."""
        return {"since": self.since, "recent": self.recent, "from": self.written_from}

    @property
    def recent(self) -> datetime:
        """From when on time series are read."""
        return self.since - BEHIND

    @property
    def written_from(self) -> datetime:
        """From when on a row counts as written since the last run."""
        return self.since - COMMIT_DELAY

    @cached_property
    def keys(self) -> dict[str, list[Any]]:
        """The touched orders, positions and trades, as parameters of TABLES."""
        found: dict[str, list[tuple[str, str]]] = {"order": [], "position": [], "trade": []}
        with connection.cursor() as cursor:
            cursor.execute(KEYS, {"from": self.written_from})
            for kind, bot_id, id_ in cursor:
                found[kind].append((bot_id, id_))
        return {
            "w_order_bots": [bot_id for bot_id, _ in found["order"]],
            "w_orders": [id_ for _, id_ in found["order"]],
            "w_position_bots": [bot_id for bot_id, _ in found["position"]],
            "w_positions": [id_ for _, id_ in found["position"]],
            "w_trades": [int(id_) for _, id_ in found["trade"]],
        }

    @classmethod
    def after(cls, since: datetime | None) -> Self | None:
        """Return the window of what was written since a moment; None, which is everything, without one."""
        return None if since is None else cls(since)


def shadow(sql: str, tables: Mapping[str, str]) -> str:
    """Return the WITH clause under which a query sees the rows of the window by the plain names of these tables."""
    named = ", ".join(f"{name} AS MATERIALIZED ({text})" for name, text in tables.items() if name in sql)
    return f"WITH {named}" if named else ""
