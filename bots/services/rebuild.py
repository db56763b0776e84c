"""The ledger from its fills: orders, positions, trades and the fills' own derived columns, worked out anew.

Fills are the truth; whatever else says otherwise is made to follow them, chain by chain (one bot in one symbol), each
in a transaction of its own under the chain's lock. What people and bots wrote beside the figures (stops, notes, marks)
stays.
"""

# ruff: noqa: S608 (the queries are put together from our own text alone)

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone
from redis.exceptions import RedisError

from bots.choices import OrderStatus
from bots.ledger.fold import position_id_of, quotient, trade_id_of
from bots.ledger.orders import status_of
from bots.live.rebuild import rebuild as rebuild_live
from bots.services.context import BotContext, bot_context
from bots.services.invariants.parts import DERIVED
from bots.services.ledger_store import RELEASE_REVIEWS
from bots.services.locks import lock_symbol
from bots.services.plan import Plan, Row, Sql, drive
from bots.services.refold import refold

logger = logging.getLogger(__name__)

CHAINS = f"""
    SELECT bot_id, symbol FROM fills UNION SELECT bot_id, symbol FROM orders
    UNION SELECT p.bot_id, p.symbol FROM positions p WHERE {DERIVED}
    ORDER BY bot_id, symbol
"""  # no value stands in it  # nosec B608
WANTED = f"""
    SELECT * FROM ({CHAINS}) c
    WHERE (%(bot)s IS NULL OR bot_id = %(bot)s) AND (%(symbol)s IS NULL OR symbol = %(symbol)s)
"""  # no value stands in it  # nosec B608
# What follows from the fills, table by table.
FIELDS = {
    "order": (
        "filled_quantity", "filled_notional", "avg_fill_price", "fees", "status", "filled_at", "position_id",
        "trade_id",
    ),
    "fill": (
        "fee_quote", "position_id", "opened_position_id", "closed_quantity", "closing_fee_quote", "realized_pnl",
    ),
    "position": (
        "symbol", "side", "size", "quantity", "avg_entry_price", "cost_basis", "entry_notional", "exit_notional",
        "realized_pnl", "unrealized_pnl", "current_price", "fees", "leverage", "status", "opened_at", "closed_at",
        "opening_fill_id", "closing_fill_id", "last_fill_id", "last_fill_at", "fill_count", "entry_trade_ids",
        "exit_trade_ids",
    ),
    "trade": (
        "trade_id", "origin", "symbol", "side", "quantity", "entry_price", "avg_fill_price", "exit_price",
        "position_size_usd", "entry_time", "exit_time", "holding_time_seconds", "gross_pnl", "fees", "pnl_pct",
        "exit_reason", "leverage",
    ),
}  # fmt: skip
_objects = {
    kind: "jsonb_build_object(" + ", ".join(f"'{name}', p.{name}" for name in names) + ")"
    for kind, names in FIELDS.items()
}
STATE = f"""
    SELECT 'order' AS kind, p.order_id AS id, {_objects["order"]} AS fields
    FROM orders p WHERE p.bot_id = %(bot)s AND p.symbol = %(symbol)s
    UNION ALL
    SELECT 'fill', p.fill_id, {_objects["fill"]} FROM fills p WHERE p.bot_id = %(bot)s AND p.symbol = %(symbol)s
    UNION ALL
    SELECT 'position', p.position_id, {_objects["position"]} FROM positions p
    WHERE p.bot_id = %(bot)s AND (p.position_id = ANY(%(ids)s::varchar[]) OR (p.symbol = %(symbol)s AND {DERIVED}))
    UNION ALL
    SELECT 'trade', coalesce(p.position_id, p.trade_id), {_objects["trade"]} FROM trades p
    WHERE p.bot_id = %(bot)s
        AND (p.position_id = ANY(%(ids)s::varchar[]) OR (p.symbol = %(symbol)s AND p.origin = 'fills'))
"""  # no value stands in it  # nosec B608
REMEMBER = f"CREATE TEMPORARY TABLE ledger_before AS {STATE}"
DIFFERENCES = f"""
    WITH after AS ({STATE}), pairs AS (
        SELECT kind, id, b.fields AS stored, a.fields AS derived FROM ledger_before b FULL JOIN after a USING (kind, id)
        WHERE b.fields IS DISTINCT FROM a.fields
    )
    SELECT kind, id, name AS field, stored ->> name AS stored, derived ->> name AS derived
    FROM pairs CROSS JOIN LATERAL jsonb_object_keys(stored) AS name
    WHERE stored -> name <> derived -> name
    UNION ALL
    SELECT kind, id, 'row', CASE WHEN stored IS NULL THEN 'missing' ELSE 'present' END,
        CASE WHEN derived IS NULL THEN 'missing' ELSE 'present' END
    FROM pairs WHERE stored IS NULL OR derived IS NULL
    ORDER BY kind, id, field
"""  # no value stands in it  # nosec B608
FORGET = "DROP TABLE ledger_before"

FILL_IDS = "SELECT fill_id FROM fills WHERE bot_id = %(bot)s AND symbol = %(symbol)s"
FEES = """
    UPDATE fills SET fee_quote = coalesce(fee * fee_rate, 0)
    WHERE bot_id = %(bot)s AND symbol = %(symbol)s AND fee_quote <> coalesce(fee * fee_rate, 0)
"""
# Rows that no fill of the chain could have opened.
DROP_TRADES = """
    DELETE FROM trades p WHERE p.bot_id = %(bot)s AND p.symbol = %(symbol)s AND p.origin = 'fills'
        AND (p.position_id IS NULL OR p.position_id <> ALL(%(ids)s::varchar[]))
"""
DROP_POSITIONS = f"""
    DELETE FROM positions p WHERE p.bot_id = %(bot)s AND p.symbol = %(symbol)s AND {DERIVED}
        AND p.position_id <> ALL(%(ids)s::varchar[])
"""  # no value stands in it  # nosec B608
# The other half of a pair of which one was lost; the fold writes its figures, as it does those of EMPTY.
ADD_TRADES = """
    INSERT INTO trades (bot_id, trade_id, position_id, symbol, side, quantity, entry_price, position_size_usd,
        entry_time, config_version)
    SELECT p.bot_id, replace(p.position_id, 'pos_', 'trd_'), p.position_id, p.symbol, p.side, 1, 1, 1, p.opened_at,
        p.config_version
    FROM positions p
    WHERE p.bot_id = %(bot)s AND p.position_id = ANY(%(ids)s::varchar[])
        AND NOT EXISTS (SELECT 1 FROM trades t WHERE t.bot_id = p.bot_id AND t.position_id = p.position_id)
"""
ADD_POSITIONS = """
    INSERT INTO positions (bot_id, position_id, symbol, side, size, quantity, avg_entry_price, status, opened_at,
        closed_at, config_version)
    SELECT t.bot_id, t.position_id, t.symbol, t.side, 0, 1, 1, 'closed', t.entry_time, t.entry_time, t.config_version
    FROM trades t
    WHERE t.bot_id = %(bot)s AND t.position_id = ANY(%(ids)s::varchar[])
        AND NOT EXISTS (SELECT 1 FROM positions p WHERE p.bot_id = t.bot_id AND p.position_id = t.position_id)
"""
# Flat and without a fill, no row is what the fold finds, so that it writes every one of them.
EMPTY = """
    UPDATE positions p SET symbol = %(symbol)s, opening_fill_id = d.fill_id, fill_count = 0, size = 0, cost_basis = 0,
        status = 'closed', closed_at = opened_at
    FROM unnest(%(ids)s::varchar[], %(fills)s::varchar[]) AS d(position_id, fill_id)
    WHERE p.bot_id = %(bot)s AND p.position_id = d.position_id
"""
OWN_TRADES = """
    UPDATE trades SET origin = 'fills', symbol = %(symbol)s
    WHERE bot_id = %(bot)s AND position_id = ANY(%(ids)s::varchar[])
"""
ORDERS = """
    SELECT o.order_id, o.quantity, o.reported_status, s.*
    FROM orders o CROSS JOIN LATERAL (
        SELECT coalesce(sum(f.quantity), 0) AS filled, coalesce(sum(f.price * f.quantity), 0) AS notional,
            coalesce(sum(f.fee_quote), 0) AS fees, max(f.executed_at) AS last_at,
            (array_agg(coalesce(f.opened_position_id, f.position_id) ORDER BY f.executed_at DESC, f.fill_id DESC))[1]
                AS position_id
        FROM fills f WHERE f.bot_id = o.bot_id AND f.order_id = o.order_id
    ) s
    WHERE o.bot_id = %(bot)s AND o.symbol = %(symbol)s
"""
WRITE_ORDERS = """
    UPDATE orders o SET filled_quantity = d.filled, filled_notional = d.notional, avg_fill_price = d.average,
        fees = d.fees, status = d.status, filled_at = d.filled_at, updated_at = %(now)s,
        position_id = coalesce(d.position_id, o.position_id), trade_id = coalesce(d.trade_id, o.trade_id)
    FROM unnest(%(orders)s::varchar[], %(filled)s::numeric[], %(notional)s::numeric[], %(average)s::numeric[],
        %(fees)s::numeric[], %(status)s::varchar[], %(filled_at)s::timestamptz[], %(positions)s::varchar[],
        %(trades)s::varchar[])
        AS d(order_id, filled, notional, average, fees, status, filled_at, position_id, trade_id)
    WHERE o.bot_id = %(bot)s AND o.order_id = d.order_id
        AND (o.filled_quantity, o.filled_notional, o.avg_fill_price, o.fees, o.status, o.filled_at, o.position_id,
            o.trade_id)
        IS DISTINCT FROM (d.filled, d.notional, d.average, d.fees, d.status, d.filled_at,
            coalesce(d.position_id, o.position_id), coalesce(d.trade_id, o.trade_id))
"""

COLUMNS = ("orders", "filled", "notional", "average", "fees", "status", "filled_at", "positions", "trades")


class Difference(NamedTuple):
    """One figure that the fills do not give; `row` stands for a whole row that is missing or should not be there."""

    bot_id: str
    symbol: str
    kind: str
    id: str
    field: str
    stored: str | None
    derived: str | None


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild looked at and what it found."""

    chains: int = 0
    differences: list[Difference] = field(default_factory=list)


def ledger_rebuild(*, bot_id: str | None = None, symbol: str | None = None, check: bool = False) -> Rebuilt:
    """Make orders, positions and trades follow the fills, of one bot or of all; return what did not.

    A ledger that follows already is left untouched, so a second run finds nothing. With `check` every change is taken
    back. symbol: that one alone. Afterwards Redis is brought in line. Raises NotFound for an unknown bot.
    """
    result = Rebuilt()
    context = bot_context(bot_id) if bot_id is not None else None
    for owner, in_symbol in _chains(bot_id, symbol):
        if context is None or context.bot_id != owner:
            context = bot_context(owner)
        result.chains += 1
        result.differences += _rebuild_chain(context, in_symbol, check=check)
    if result.differences and not check:
        transaction.on_commit(_refresh_live)
    return result


def _chains(bot_id: str | None, symbol: str | None) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(WANTED, {"bot": bot_id, "symbol": symbol})
        return [(str(owner), str(symbol)) for owner, symbol in cursor.fetchall()]


def _refresh_live() -> None:
    try:
        rebuild_live()
    except RedisError as e:
        logger.warning("Redis was not brought in line with the rebuilt ledger; run rebuild_live: %s", e)


def _rebuild_chain(bot: BotContext, symbol: str, *, check: bool) -> list[Difference]:
    with transaction.atomic():
        differences = drive(_derive_chain(bot, symbol, timezone.now()))
        if check or not differences:
            transaction.set_rollback(True)
    return differences


def _derive_chain(bot: BotContext, symbol: str, now: datetime) -> Plan[list[Difference]]:
    chain = {"bot": bot.bot_id, "symbol": symbol}
    _, fills = yield [lock_symbol(bot.bot_id, symbol), Sql(FILL_IDS, chain)]
    openings = {position_id_of(bot.bot_id, symbol, row["fill_id"]): row["fill_id"] for row in fills}
    keys: dict[str, Any] = {**chain, "ids": list(openings), "fills": list(openings.values())}
    repairs = (FEES, DROP_TRADES, RELEASE_REVIEWS, DROP_POSITIONS, ADD_TRADES, ADD_POSITIONS, EMPTY, OWN_TRADES)
    yield [Sql(REMEMBER, keys), *(Sql(text, keys) for text in repairs)]
    yield from refold(bot, symbol, since=None, now=now)
    (orders,) = yield [Sql(ORDERS, chain)]
    *_, rows, _ = yield [_write_orders(chain, orders, now), Sql(DIFFERENCES, keys), Sql(FORGET, {})]
    return [Difference(bot.bot_id, symbol, **row) for row in rows]


def _write_orders(chain: Mapping[str, Any], orders: list[Row], now: datetime) -> Sql:
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in orders:
        filled, position_id = row["filled"], row["position_id"]
        status = status_of(OrderStatus(row["reported_status"]), filled=filled, quantity=row["quantity"])
        values = (
            row["order_id"],
            filled,
            row["notional"],
            quotient(row["notional"], filled) if filled else None,
            row["fees"],
            str(status),
            row["last_at"] if status == OrderStatus.FILLED else None,
            position_id,
            position_id and trade_id_of(position_id),
        )
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return Sql(WRITE_ORDERS, {**chain, **columns, "now": now})
