"""Folding a chain of stored fills again: for a fill that came late, and for the rebuild."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from bots.ledger.fold import Effect, PositionState, fold, opened_by, position_id_of
from bots.services import ledger_store as store
from bots.services.context import BotContext
from bots.services.plan import Plan, Row, Sql


def refold(bot: BotContext, symbol: str, *, since: tuple[datetime, str] | None, now: datetime) -> "Plan[Refolded]":
    """Fold the chain again from the position that was held at `since` (from the beginning when None), and make every
    derived row say so.

    Rows that stay the same position keep their id, notes and stops; rows the fills no longer support are removed.
    Rows that say it already are left alone.
    """
    bounds = {"bot": bot.bot_id, "symbol": symbol, "at": None, "fill": None}
    start_id = None
    if since is not None:
        (start,) = yield [Sql(store.CHAIN_START, bounds | {"at": since[0], "fill": since[1]})]
        if start:
            start_id = start[0]["position_id"]
            bounds |= {"at": start[0]["opened_at"], "fill": start[0]["opening_fill_id"]}
    fills, stored = yield [Sql(store.CHAIN_FILLS, bounds), Sql(store.CHAIN_POSITIONS, bounds)]
    orders_of = {fill["fill_id"]: fill["order_id"] for fill in fills}
    (orders,) = yield [Sql(store.CHAIN_ORDERS, {"bot": bot.bot_id, "orders": sorted(set(orders_of.values()))})]
    chain = fold_chain(fills, start_id)
    statements = [store.derive_fills(bot.bot_id, symbol, chain.effects)] if chain.effects else []
    statements += _write_chain(bot, symbol, chain, stored, {row["order_id"]: row for row in orders}, orders_of, now)
    rows = yield [*statements, *store.link_orders(bot.bot_id, symbol, chain.effects, orders_of)]
    ids = {position_id_of(bot.bot_id, symbol, state.opening_fill_id) for state in chain.states}
    return Refolded(rows, [row for row in stored if row["position_id"] not in ids])


class Refolded(NamedTuple):
    """What the statements returned, and the rows of positions that are no more, or have another id now."""

    rows: list[list[Row]]
    gone: list[Row]


class Chain(NamedTuple):
    """A folded chain: what each fill did, and every position's last state, oldest first."""

    effects: list[Effect]
    states: list[PositionState]


def fold_chain(fills: list[Row], start_id: str | None) -> Chain:
    """Fold stored fills; the first one opened `start_id`, perhaps with only what crossed zero."""
    executions = list(map(store.execution_from, fills))
    first: PositionState | None = None
    if start_id is not None and fills[0]["opened_position_id"] == start_id:
        row = fills[0]
        first = opened_by(
            executions.pop(0), closed_quantity=row["closed_quantity"], closing_fee=row["closing_fee_quote"]
        )
    effects = fold(executions, first)
    last = {first.opening_fill_id: first} if first else {}
    for effect in effects:
        for state in (effect.reduced, effect.entered):
            if state is not None:
                last[state.opening_fill_id] = state
    return Chain(effects, list(last.values()))


def _write_chain(
    bot: BotContext, symbol: str, chain: Chain, stored: list[Row], orders: dict[str, Row], orders_of: dict[str, str],
    now: datetime,
) -> list[Sql]:  # fmt: skip
    matches = _match(stored, chain)
    kept = {row["position_id"] for row in matches.values()}
    statements = store.drop_positions(
        bot.bot_id, (row["position_id"] for row in stored if row["position_id"] not in kept)
    )
    openings = {state.opening_fill_id for state in chain.states}
    # The one that is open goes last: the old open row must be closed before another may be open.
    for state in sorted(chain.states, key=lambda state: state.is_open):
        row = matches.get(state.opening_fill_id)
        if row is not None and replace(state, last_price=Decimal(0)) == replace(
            store.position_state(row), last_price=Decimal(0)
        ):
            continue
        opening, closing = (orders[orders_of[fill_id]] for fill_id in (state.opening_fill_id, state.last_fill_id))
        is_flip = state.last_fill_id in openings and state.last_fill_id != state.opening_fill_id
        reason = store.exit_reason_of(closing["order_purpose"], closing["order_metadata"], is_flip=is_flip)
        origin = store.Origin(
            opening["leverage"] or Decimal(1), opening["strategy"] or bot.strategy, reason, opening["is_paper_trade"]
        )
        mark = store.Mark(row["current_price"], row["marked_at"]) if row else store.Mark(None, None)
        stored_id = row["position_id"] if row else None
        statements += store.write_position(
            bot, symbol, state, origin=origin, mark=mark, stored_id=stored_id, now=now, is_refold=True
        )
    return statements


def _match(stored: list[Row], chain: Chain) -> dict[str, Row]:
    """Return which stored row each position keeps, by its opening fill: first the same, else one that it swallowed."""
    by_opening = {row["opening_fill_id"]: row for row in stored}
    matches = {}
    for state in chain.states:
        if state.opening_fill_id in by_opening:
            matches[state.opening_fill_id] = by_opening.pop(state.opening_fill_id)
    for effect in chain.effects:
        touched = effect.entered or effect.reduced
        fill_id = effect.execution.fill_id
        if touched is not None and fill_id in by_opening and touched.opening_fill_id not in matches:
            matches[touched.opening_fill_id] = by_opening.pop(fill_id)
    return matches
