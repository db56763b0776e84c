"""What a fill does to its order, and to the signal behind it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.choices import OrderStatus
from bots.ledger.facts import NewFill
from bots.ledger.fold import EXACT, Effect, position_id_of, quotient, trade_id_of
from bots.ledger.orders import lacks_fills, status_of
from bots.services.context import BotContext
from bots.services.plan import Row, Sql, insert, update

# Flags that are the order's as well; the others speak of the fill alone.
ORDER_FLAGS = {"overfill", "after_order_ended"}
ORDER_KEY = "bot_id = %(k_bot)s AND order_id = %(k_id)s"
# The newest of its executions, whatever order they arrive in.
FILLED_AT = """filled_at = (
    SELECT max(f.executed_at) FROM fills f WHERE f.bot_id = %(k_bot)s AND f.order_id = %(k_id)s
)"""
SIGNAL_EXECUTED = """
    UPDATE signals s SET executed = true, execution_order_id = %(order)s::varchar,
        execution_time = least(coalesce(s.execution_time, %(at)s::timestamptz), %(at)s::timestamptz),
        execution_trade_id = (
            SELECT o.trade_id FROM orders o WHERE o.bot_id = s.bot_id AND o.order_id = %(order)s::varchar
        )
    WHERE s.bot_id = %(bot)s AND s.signal_id = %(signal)s
"""


def order_values(
    bot: BotContext, fill: NewFill, row: Row, *, fee: Decimal, flags: list[str], now: datetime, effect: Effect | None
) -> dict[str, Any]:
    """Return the derived columns of the order once the fill is counted."""
    filled = EXACT.add(row["filled_quantity"], fill.quantity)
    notional = EXACT.add(row["filled_notional"], EXACT.multiply(fill.price, fill.quantity))
    status = status_of(OrderStatus(row["reported_status"]), filled=filled, quantity=row["quantity"])
    done = set() if lacks_fills(OrderStatus(row["reported_status"]), status) else {"awaiting_fills"}
    values: dict[str, Any] = {
        "filled_quantity": filled,
        "filled_notional": notional,
        "avg_fill_price": quotient(notional, filled),
        "fees": EXACT.add(row["fees"], fee),
        "status": status,
        "flags": sorted(({*row["flags"]} | (ORDER_FLAGS & {*flags})) - done),
        "updated_at": now,
    }
    touched = effect and (effect.entered or effect.reduced)
    if touched:
        values["position_id"] = position_id_of(bot.bot_id, row["symbol"], touched.opening_fill_id)
        values["trade_id"] = trade_id_of(values["position_id"])
    return values


def order_update(bot: BotContext, order_id: str, values: dict[str, Any]) -> Sql:
    """Return the statement that writes them."""
    keys = {"k_bot": bot.bot_id, "k_id": order_id}
    also = FILLED_AT if values["status"] == OrderStatus.FILLED else ""
    return update("orders", values, where=ORDER_KEY, keys=keys, also=also)


def order_news(bot: BotContext, fill: NewFill, row: Row, status: OrderStatus) -> list[Sql]:
    """Return the statement of the history row when the fill moved the order's status."""
    values = order_move(bot, fill, row, status)
    return [] if values is None else [insert("order_events", values, suffix="")]


def order_move(bot: BotContext, fill: NewFill, row: Row, status: OrderStatus) -> dict[str, Any] | None:
    """Return the history row when the fill moved the order's status."""
    if status == row["status"]:
        return None
    values = {"bot_id": bot.bot_id, "order_id": fill.order_id, "from_status": row["status"], "to_status": status}
    return values | {"at": fill.executed_at, "fill_id": fill.fill_id, "source": fill.source}


def signal_executed(bot: BotContext, fill: NewFill, row: Row) -> list[Sql]:
    """Return the statement that says of the order's signal, if it has one, that it is executed."""
    if row["signal_id"] is None:
        return []
    keys = {"bot": bot.bot_id, "signal": row["signal_id"], "order": fill.order_id, "at": fill.executed_at}
    return [Sql(SIGNAL_EXECUTED, keys)]
