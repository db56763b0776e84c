"""Runs: several fills of one order told together. They leave the rows that they would leave one by one, with fewer
statements: the order, the position and the trade are read once and written once.

A run is taken only where nothing is remarkable: fills that are new and newer than all others, in their order, without
a flag. Everything else is told one by one, and so is a run in which the database refuses a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from django.utils import timezone

from bots.ledger.content import content_hash
from bots.ledger.facts import NewFill
from bots.ledger.fold import EXACT, Effect, Execution, PositionState, apply
from bots.ledger.shapes import FILL, ORDER, shape
from bots.services import ledger_store as store
from bots.services.context import BotContext
from bots.services.fill_orders import order_news, order_update, order_values, signal_executed
from bots.services.fills import (
    broken_by,
    fill_values,
    flags_of,
    load_keys,
    origin_of,
    own_fee_rate,
    positions_and_trades,
    record_fill,
    told_live,
)
from bots.services.locks import lock_symbol_of_order
from bots.services.plan import Last, Outcome, Plan, Row, Sql, insert, within
from tradingdb.lib.errors import DomainError

# Of the fills after the first, which is looked at by LOAD: whether one of them was told before, by any name.
KNOWN = """
    SELECT EXISTS (SELECT FROM fills WHERE bot_id = %(bot)s AND fill_id = ANY(%(fills)s::varchar[]))
        OR EXISTS (SELECT FROM parked_facts WHERE bot_id = %(bot)s AND kind = 'fill'
            AND fact_id = ANY(%(fills)s::varchar[]))
        OR EXISTS (SELECT FROM orders o, unnest(%(executions)s::text[]) AS e(execution)
            WHERE o.bot_id = %(bot)s AND o.order_id = %(order)s AND execution_is_known(o.symbol, e.execution)) AS known
"""


def is_run(fills: Sequence[NewFill]) -> bool:
    """Whether fills can be a run: of one order, each newer than the one before, none told twice."""
    executions = [fill.exchange_trade_id for fill in fills if fill.exchange_trade_id is not None]
    keys = [(fill.executed_at, fill.fill_id) for fill in fills]
    return (
        len({fill.order_id for fill in fills}) == 1
        and len({fill.fill_id for fill in fills}) == len(fills)
        and len(set(executions)) == len(executions)
        and all(one < other for one, other in pairwise(keys))
    )


def record_run(bot: BotContext, fills: Sequence[NewFill]) -> Plan[list[Outcome | DomainError]]:
    """Store the fills of a run, or each by itself where something about them is remarkable."""
    now = timezone.now()
    first, others = fills[0], fills[1:]
    asked = {
        "bot": bot.bot_id,
        "order": first.order_id,
        "fills": [fill.fill_id for fill in others],
        "executions": [fill.exchange_trade_id for fill in others if fill.exchange_trade_id is not None],
    }
    _, (row,), (known,) = yield [
        lock_symbol_of_order(bot.bot_id, first.order_id), Sql(store.LOAD, load_keys(bot, first)), Sql(KNOWN, asked)
    ]  # fmt: skip
    seen = known["known"] or any(row[name] is not None for name in ("seen_id", "parked_id", "execution_fill_id"))
    statements = None if seen or row["order_id"] is None else _folded(bot, fills, row, now)
    if statements is None:
        return (yield from _one_by_one(bot, fills))
    rows = yield Last(statements)
    stored = [shape(returned[0], FILL) for returned in rows[: len(fills)]]
    positions, trades = positions_and_trades(rows[len(fills) + 1 :])
    order = shape(rows[len(fills)][0], ORDER)
    updates = told_live(bot, row["symbol"], fills=stored, order=order, positions=positions, trades=trades)
    outcomes: list[Outcome | DomainError] = [Outcome(201, {"flags": []}) for _ in others]
    return [*outcomes, Outcome(201, {"flags": []}, updates=tuple(updates))]


def _one_by_one(bot: BotContext, fills: Sequence[NewFill]) -> Plan[list[Outcome | DomainError]]:
    ends: list[Outcome | DomainError] = []
    for fill in fills:
        try:
            ends.append((yield from within(record_fill(bot, fill))))
        except DomainError as e:
            ends.append(e)
    return ends


@dataclass(slots=True)
class _Write:
    """A position as the run leaves it: `steps` fills touched it; `stored_id` is None where it is new."""

    state: PositionState
    origin: store.Origin
    mark: store.Mark
    stored_id: str | None
    steps: int = 1


def _folded(bot: BotContext, fills: Sequence[NewFill], row: Row, now: datetime) -> list[Sql] | None:
    """Fold the fills in turn, as if each found the rows that the one before it left; None where one is remarkable."""
    inserts: list[Sql] = []
    news: list[Sql] = []
    writes: dict[str, _Write] = {}
    state, stored_id = store.position_from(row), row["position_id"]
    mark = store.Mark(row["current_price"], row["marked_at"])
    told, order = row, {}
    for fill in fills:
        rate = own_fee_rate(bot, fill, row["symbol"])
        if rate is None or flags_of(fill, told, rate):
            return None
        fee = EXACT.multiply(fill.fee, rate) if fill.fee is not None else Decimal(0)
        execution = Execution(fill.fill_id, fill.executed_at, row["side"], fill.price, fill.quantity, fee)
        effect = apply(state, execution)
        is_newest = told["newest_at"] is None or execution.key > (told["newest_at"], told["newest_id"])
        if not is_newest or broken_by(told, state, [effect]):
            return None
        derived = store.derived_columns(bot.bot_id, row["symbol"], effect)
        values = fill_values(bot, fill, row, content_hash(fill.body))
        inserts.append(insert("fills", values | derived | {"fee_rate": rate, "fee_quote": fee, "flags": []}))
        order = order_values(bot, fill, told, fee=fee, flags=[], now=now, effect=effect)
        news += order_news(bot, fill, told, order["status"])
        told = {**told, **order, "newest_at": fill.executed_at, "newest_id": fill.fill_id}
        stored_id, mark = _touch(writes, effect, origin_of(bot, row, effect), mark, stored_id)
        state = effect.entered or effect.reduced
    statements = [*inserts, order_update(bot, fills[0].order_id, order)]
    for write in writes.values():
        statements += store.write_position(
            bot, row["symbol"], write.state, origin=write.origin, mark=write.mark, stored_id=write.stored_id, now=now,
            steps=write.steps,
        )  # fmt: skip
    return [*statements, *news, *signal_executed(bot, fills[0], row)]


def _touch(
    writes: dict[str, _Write], effect: Effect, origin: store.Origin, mark: store.Mark, stored_id: str | None
) -> tuple[str | None, store.Mark]:
    """Note what a fill did to one position, or two at a flip; return the id and the mark that the next one finds."""
    for state in (effect.reduced, effect.entered):
        if state is None:
            continue
        write = writes.get(state.opening_fill_id)
        if write is None:
            writes[state.opening_fill_id] = _Write(state, origin, mark, stored_id)
        else:
            write.state, write.origin, write.steps = state, origin, write.steps + 1
        stored_id = None
    if effect.entered is None and effect.reduced is not None and not effect.reduced.is_open:
        # Flat: the next position begins without a price.
        return None, store.Mark(None, None)
    return stored_id, mark
