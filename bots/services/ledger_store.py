"""The store beside the fold: the SQL that loads what a fill touches and writes what it changed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from bots.choices import Direction, ExitReason, OrderPurpose, PositionStatus
from bots.ledger.fold import Effect, Execution, PositionState, fraction, position_id_of, trade_id_of
from bots.services.context import BotContext
from bots.services.plan import Row, Sql, insert, update

OPEN = "('open', 'partially_closed')"

# ruff: noqa: S608 (names come from code)
# Which fill has the execution a bot is told of its own fills alone; it is empty for one of another bot of the account.
ORDER_COLUMNS = """o.order_id, o.symbol, o.side, o.quantity, o.filled_quantity, o.filled_notional, o.fees, o.status,
        o.reported_status, o.reported_at, o.leverage, o.strategy, o.order_purpose, o.order_metadata, o.signal_id,
        o.flags, o.submitted_at, o.is_paper_trade,
        p.position_id, p.side AS p_side, p.size, p.quantity AS p_quantity, p.cost_basis, p.entry_notional,
        p.exit_notional, p.realized_pnl, p.fees AS p_fees, p.fill_count, p.opening_fill_id, p.opened_at,
        p.last_fill_id, p.last_fill_at, p.current_price, p.marked_at,
        l.executed_at AS newest_at, l.fill_id AS newest_id,
        (SELECT min(c.changed_at) FROM control_states c WHERE c.state = 'HALTED' AND (c.scope, c.target) IN
            (('all', ''), ('bot', %(bot)s), ('symbol', o.symbol), ('exchange', %(exchange)s))) AS halted_at,
        (SELECT risk_is_watched(%(mode)s)) AS risk_watched"""
ORDER_JOINS = f"""
    LEFT JOIN positions p ON p.bot_id = o.bot_id AND p.symbol = o.symbol AND p.status IN {OPEN}
    LEFT JOIN LATERAL (
        SELECT executed_at, fill_id FROM fills WHERE bot_id = o.bot_id AND symbol = o.symbol
        ORDER BY executed_at DESC, fill_id DESC LIMIT 1
    ) l ON true"""  # no value stands in it  # nosec B608
LOAD = f"""
    SELECT {ORDER_COLUMNS},
        f.content_hash AS seen_hash, f.fill_id AS seen_id,
        CASE WHEN x.bot_id = %(bot)s THEN x.fill_id
            WHEN x.bot_id IS NOT NULL OR execution_is_known(o.symbol, %(execution)s) THEN '' END AS execution_fill_id,
        k.content_hash AS parked_hash, k.fact_id AS parked_id, k.body AS parked_body
    FROM (SELECT 1) AS one
    LEFT JOIN orders o ON o.bot_id = %(bot)s AND o.order_id = %(order)s{ORDER_JOINS}
    LEFT JOIN fills f ON f.bot_id = %(bot)s AND f.fill_id = %(fill)s
    LEFT JOIN fills x ON x.account_id = %(account)s AND x.symbol = o.symbol
        AND x.exchange_trade_id = %(execution)s::varchar
    LEFT JOIN parked_facts k ON k.bot_id = %(bot)s AND k.kind = 'fill' AND k.fact_id = %(fill)s
        AND (o.order_id IS NULL OR (k.state = 'parked' AND k.order_id <> o.order_id))
"""  # no value stands in it  # nosec B608
# The same of several orders, without a fill.
LOAD_ORDERS = f"""
    SELECT {ORDER_COLUMNS} FROM orders o{ORDER_JOINS}
    WHERE o.bot_id = %(bot)s AND o.order_id = ANY(%(orders)s::varchar[])
"""  # no value stands in it  # nosec B608

# A late fill can change nothing before the opening of the position that was held, or held last, at its moment.
CHAIN_START = """
    SELECT position_id, opened_at, opening_fill_id FROM positions
    WHERE bot_id = %(bot)s AND symbol = %(symbol)s AND opening_fill_id <> ''
        AND (opened_at, opening_fill_id) < (%(at)s::timestamptz, %(fill)s::varchar COLLATE "C")
    ORDER BY opened_at DESC, opening_fill_id DESC LIMIT 1
"""
CHAIN_FILLS = """
    SELECT fill_id, executed_at, side, price, quantity, fee_quote, order_id, opened_position_id, closed_quantity,
        closing_fee_quote FROM fills
    WHERE bot_id = %(bot)s AND symbol = %(symbol)s
        AND (%(at)s::timestamptz IS NULL
            OR (executed_at, fill_id) >= (%(at)s::timestamptz, %(fill)s::varchar COLLATE "C"))
    ORDER BY executed_at, fill_id
"""
CHAIN_POSITIONS = """
    SELECT position_id, opening_fill_id, current_price, marked_at, side AS p_side, size, quantity AS p_quantity,
        cost_basis, entry_notional, exit_notional, realized_pnl, fees AS p_fees, fill_count, opened_at, last_fill_id,
        last_fill_at, version FROM positions
    WHERE bot_id = %(bot)s AND symbol = %(symbol)s AND opening_fill_id <> ''
        AND (%(at)s::timestamptz IS NULL
            OR (opened_at, opening_fill_id) >= (%(at)s::timestamptz, %(fill)s::varchar COLLATE "C"))
"""
CHAIN_ORDERS = """
    SELECT order_id, leverage, strategy, order_purpose, order_metadata, is_paper_trade FROM orders
    WHERE bot_id = %(bot)s AND order_id = ANY(%(orders)s::varchar[])
"""
DROP_POSITIONS = "DELETE FROM positions WHERE bot_id = %(bot)s AND position_id = ANY(%(ids)s::varchar[])"
DROP_TRADES = "DELETE FROM trades WHERE bot_id = %(bot)s AND position_id = ANY(%(ids)s::varchar[])"
# A review must not keep a fact out: it stays, and lets go of the trade that is no more. Not in one statement with the
# DELETE, which may wait for a review that is just being written, and would not see it.
RELEASE_REVIEWS = """
    UPDATE trade_reviews r SET trade_id = NULL
    WHERE r.bot_id = %(bot)s AND r.trade_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM trades t WHERE t.id = r.trade_id)
"""
DERIVE_FILLS = """
    UPDATE fills f SET position_id = d.position_id, opened_position_id = d.opened_position_id,
        closed_quantity = d.closed_quantity, closing_fee_quote = d.closing_fee, realized_pnl = d.realized_pnl
    FROM unnest(%(ids)s::varchar[], %(positions)s::varchar[], %(opened)s::varchar[], %(closed)s::numeric[],
        %(closing_fees)s::numeric[], %(pnls)s::numeric[])
        AS d(fill_id, position_id, opened_position_id, closed_quantity, closing_fee, realized_pnl)
    WHERE f.bot_id = %(bot)s AND f.fill_id = d.fill_id
        AND (f.position_id, f.opened_position_id, f.closed_quantity, f.closing_fee_quote, f.realized_pnl)
            IS DISTINCT FROM (d.position_id, d.opened_position_id, d.closed_quantity, d.closing_fee, d.realized_pnl)
"""
# An order belongs to the position that its newest fill touched.
ORDERS_OF_CHAIN = """
    UPDATE orders o SET position_id = n.position_id, trade_id = replace(n.position_id, 'pos_', 'trd_')
    FROM unnest(%(orders)s::varchar[], %(positions)s::varchar[]) AS n(order_id, position_id)
    WHERE o.bot_id = %(bot)s AND o.order_id = n.order_id AND o.position_id IS DISTINCT FROM n.position_id
"""
SIGNALS_OF_CHAIN = """
    UPDATE signals s SET execution_trade_id = o.trade_id FROM orders o
    WHERE o.bot_id = %(bot)s AND o.order_id = ANY(%(orders)s::varchar[]) AND s.bot_id = o.bot_id
        AND s.signal_id = o.signal_id AND s.execution_order_id = o.order_id
        AND s.execution_trade_id IS DISTINCT FROM o.trade_id
"""
# Written once, at the end: a list that grows with each fill would be rewritten, with its index, for each.
ENTRIES_AND_EXITS = """
    UPDATE positions p SET
        entry_trade_ids = coalesce((SELECT array_agg(fill_id::text ORDER BY executed_at, fill_id) FROM fills f
            WHERE f.bot_id = p.bot_id AND (f.fill_id = p.opening_fill_id
                OR (f.position_id = p.position_id AND f.closed_quantity = 0))), '{}'),
        exit_trade_ids = coalesce((SELECT array_agg(fill_id::text ORDER BY executed_at, fill_id) FROM fills f
            WHERE f.bot_id = p.bot_id AND f.position_id = p.position_id AND f.closed_quantity > 0), '{}')
    WHERE p.bot_id = %(bot)s AND p.position_id = ANY(%(positions)s::varchar[])
"""

NO_ENTRIES = """
    UPDATE positions SET entry_trade_ids = '{}', exit_trade_ids = '{}'
    WHERE bot_id = %(bot)s AND position_id = %(position)s AND entry_trade_ids <> '{}'
"""

NEXT_VERSION = "version = greatest(version + %(k_steps)s, %(k_version)s)"


class Origin(NamedTuple):
    """What a position takes from the orders behind it: the opening one's words, the closing one's reason."""

    leverage: Decimal
    strategy: str
    exit_reason: str | None
    is_paper: bool


class Mark(NamedTuple):
    """The last price that was told for a position, and when; without a time it is only what was paid last."""

    price: Decimal | None
    at: datetime | None


def position_from(row: Row) -> PositionState | None:
    """Return the open position of a LOAD row, None when flat."""
    return None if row["position_id"] is None else position_state(row)


def position_state(row: Row) -> PositionState:
    """Return the state that a stored position's row holds."""
    return PositionState(
        side=Direction(row["p_side"]),
        opening_fill_id=row["opening_fill_id"],
        opened_at=row["opened_at"],
        size=row["size"],
        quantity=row["p_quantity"],
        cost_basis=row["cost_basis"],
        entry_notional=row["entry_notional"],
        exit_notional=row["exit_notional"],
        realized_pnl=row["realized_pnl"],
        fees=row["p_fees"],
        fill_count=row["fill_count"],
        last_fill_id=row["last_fill_id"],
        last_fill_at=row["last_fill_at"],
        last_price=row["current_price"] or Decimal(0),
    )


def execution_from(row: Row) -> Execution:
    """Return a stored fill as the fold sees it."""
    return Execution(row["fill_id"], row["executed_at"], row["side"], row["price"], row["quantity"], row["fee_quote"])


def derived_columns(bot_id: str, symbol: str, effect: Effect) -> dict[str, Any]:
    """Return what the fold says about one fill, as columns of its row."""
    reduced = effect.reduced and position_id_of(bot_id, symbol, effect.reduced.opening_fill_id)
    entered = effect.entered and position_id_of(bot_id, symbol, effect.entered.opening_fill_id)
    return {
        "position_id": reduced or entered,
        "opened_position_id": entered if reduced else None,
        "closed_quantity": effect.closed_quantity,
        "closing_fee_quote": effect.closing_fee,
        "realized_pnl": effect.realized_pnl,
    }


def derive_fills(bot_id: str, symbol: str, effects: Sequence[Effect]) -> Sql:
    """Write the derived columns of many fills in one statement."""
    rows = [derived_columns(bot_id, symbol, effect) for effect in effects]
    params = {
        "bot": bot_id,
        "ids": [effect.execution.fill_id for effect in effects],
        "positions": [row["position_id"] for row in rows],
        "opened": [row["opened_position_id"] for row in rows],
        "closed": [row["closed_quantity"] for row in rows],
        "closing_fees": [row["closing_fee_quote"] for row in rows],
        "pnls": [row["realized_pnl"] for row in rows],
    }
    return Sql(DERIVE_FILLS, params)


def link_orders(bot_id: str, symbol: str, effects: Sequence[Effect], orders_of: dict[str, str]) -> list[Sql]:
    """Point the orders of a folded chain, and the signals behind them, at what their newest fills touched."""
    newest = {}
    for effect in effects:
        state = effect.entered or effect.reduced
        assert state is not None
        newest[orders_of[effect.execution.fill_id]] = position_id_of(bot_id, symbol, state.opening_fill_id)
    params = {"bot": bot_id, "orders": list(newest), "positions": list(newest.values())}
    return [Sql(ORDERS_OF_CHAIN, params), Sql(SIGNALS_OF_CHAIN, params)]


def exit_reason_of(purpose: str | None, metadata: Any, *, is_flip: bool) -> str:
    """Return why a trade ended: what the bot says, else what its order was for."""
    told = metadata.get("exit_reason") if isinstance(metadata, dict) else None
    if told in ExitReason.values:
        return str(told)
    if is_flip or purpose in (OrderPurpose.EXIT, OrderPurpose.ENTRY):
        return str(ExitReason.SIGNAL_REVERSAL)
    if purpose in (OrderPurpose.STOP_LOSS, OrderPurpose.TAKE_PROFIT):
        return str(purpose)
    return str(ExitReason.MANUAL)


def write_position(
    bot: BotContext, symbol: str, state: PositionState, *, origin: Origin, mark: Mark, stored_id: str | None,
    now: datetime, is_refold: bool = False, steps: int = 1,
) -> list[Sql]:  # fmt: skip
    """Return the statements that make a position's row and its trade's row say what the state says.

    `stored_id` is the row's present id, None for a new row; a fill that came late can change which fill opened it.
    `steps`: how many fills are written at once, by which its version grows.
    """
    position, trade = position_and_trade(bot, symbol, state, origin=origin, mark=mark, now=now)
    position_id = position["position_id"]
    # A late fill can bring back an id that was gone, and then its versions go on growing.
    fresh = int(now.timestamp() * 1_000_000)
    if stored_id is None or is_refold:
        # The opening order's words; they change only when a late fill makes another one the opening one.
        position, trade = position | opening_words(origin), trade | opening_words(origin, of_trade=True)
    if stored_id is None:
        own = own_columns(bot, symbol)
        version = {"version": fresh if is_refold else steps}
        statements = [insert("positions", position | own | version), insert("trades", trade | own)]
    else:
        where, keys = "bot_id = %(k_bot)s AND position_id = %(k_id)s", {"k_bot": bot.bot_id, "k_id": stored_id}
        least = {"k_version": fresh if is_refold else 0, "k_steps": steps}
        statements = [
            update("positions", position, where=where, keys=keys | least, also=NEXT_VERSION),
            update("trades", trade, where=where, keys=keys),
        ]
    if state.is_open and is_refold and stored_id is not None:
        # A late fill can open again what had looked closed.
        statements.append(Sql(NO_ENTRIES, {"bot": bot.bot_id, "position": position_id}))
    if not state.is_open:
        statements.append(entries_and_exits(bot, [position_id]))
    return statements


def position_and_trade(
    bot: BotContext, symbol: str, state: PositionState, *, origin: Origin, mark: Mark, now: datetime
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the derived columns of a position's row and of its trade's row."""
    position_id = position_id_of(bot.bot_id, symbol, state.opening_fill_id)
    names = {"position_id": position_id, "trade_id": trade_id_of(position_id)}
    return position_values(state, mark, now) | {"position_id": position_id}, trade_values(state, origin, now) | names


def opening_words(origin: Origin, *, of_trade: bool = False) -> dict[str, Any]:
    """Return the columns that the opening order gives a position, or its trade."""
    words = {"leverage": origin.leverage, "strategy": origin.strategy}
    return words | {"is_paper_trade": origin.is_paper} if of_trade else words


def own_columns(bot: BotContext, symbol: str) -> dict[str, Any]:
    """Return what a new position or trade is called by."""
    return {"bot_id": bot.bot_id, "symbol": symbol, "config_version": bot.config_version}


def entries_and_exits(bot: BotContext, position_ids: list[str]) -> Sql:
    """List the fills of positions that have ended."""
    return Sql(ENTRIES_AND_EXITS, {"bot": bot.bot_id, "positions": position_ids})


def drop_positions(bot_id: str, ids: Iterable[str]) -> list[Sql]:
    """Remove derived rows that the fills no longer support: two positions that a late fill joined into one."""
    params = {"bot": bot_id, "ids": list(ids)}
    statements = (DROP_TRADES, RELEASE_REVIEWS, DROP_POSITIONS)
    return [Sql(text, params) for text in statements] if params["ids"] else []


def position_values(state: PositionState, mark: Mark, now: datetime) -> dict[str, Any]:
    """Return the derived columns of a position's row."""
    price, at = mark
    if at is None or price is None or state.last_fill_at >= at or not state.is_open:
        # Until a newer price is told, what was paid last is the mark; it follows from the fills, so it has no time.
        price, at = state.last_price, None
    unrealized = state.unrealized_at(price) if state.is_open else Decimal(0)
    return {
        "side": state.side,
        "size": state.size,
        "quantity": state.quantity,
        "avg_entry_price": state.avg_entry_price,
        "cost_basis": state.cost_basis,
        "entry_notional": state.entry_notional,
        "exit_notional": state.exit_notional,
        "realized_pnl": state.realized_pnl,
        "fees": state.fees,
        "unrealized_pnl": unrealized,
        "unrealized_pnl_pct": fraction(unrealized, state.cost_basis),
        "current_price": price,
        "marked_at": at,
        "status": PositionStatus.OPEN if state.is_open else PositionStatus.CLOSED,
        "opened_at": state.opened_at,
        "closed_at": None if state.is_open else state.last_fill_at,
        "last_updated": now,
        "updated_at": now,
        "opening_fill_id": state.opening_fill_id,
        "closing_fill_id": None if state.is_open else state.last_fill_id,
        "last_fill_id": state.last_fill_id,
        "last_fill_at": state.last_fill_at,
        "fill_count": state.fill_count,
    }


def trade_values(state: PositionState, origin: Origin, now: datetime) -> dict[str, Any]:
    """Return the derived columns of a trade's row."""
    is_closed = not state.is_open
    seconds = int((state.last_fill_at - state.opened_at).total_seconds())
    return {
        "side": state.side,
        "quantity": state.quantity,
        "entry_price": state.entry_price,
        "avg_fill_price": state.entry_price,
        "position_size_usd": state.entry_notional,
        "entry_time": state.opened_at,
        "exit_time": state.last_fill_at if is_closed else None,
        "exit_price": state.exit_price if is_closed else None,
        "holding_time_seconds": seconds if is_closed else None,
        "gross_pnl": state.realized_pnl,
        "fees": state.fees,
        "pnl_pct": state.return_on_entry,
        "exit_reason": origin.exit_reason if is_closed else None,
        "updated_at": now,
    }
