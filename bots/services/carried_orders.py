"""Fills whose body brings their order along: both are stored, or, where the fill is refused, neither."""

from dataclasses import replace

from bots.choices import FactKind
from bots.errors import DuplicateExecution
from bots.ledger.content import content_hash
from bots.ledger.facts import NewFill, NewOrder
from bots.services import ledger_store as store
from bots.services.conflicts import conflict
from bots.services.context import BotContext
from bots.services.fills import load_keys, record_fill, seen_before
from bots.services.locks import lock_order, lock_symbol
from bots.services.orders import ORDER_ROW, record_order
from bots.services.plan import Outcome, Plan, Sql, TryAgain, within

# What LOAD cannot tell without the order: whether the execution is known in its symbol, or waits with the order.
EXECUTION = """
    SELECT coalesce(
        (SELECT x.fill_id FROM fills x WHERE x.account_id = %(account)s AND x.symbol = %(symbol)s
            AND x.exchange_trade_id = %(execution)s::varchar AND x.bot_id = %(bot)s),
        CASE WHEN execution_is_known(%(symbol)s::text, %(execution)s) THEN '' END) AS known_as,
    (SELECT k.body FROM parked_facts k WHERE k.bot_id = %(bot)s AND k.order_id = %(order)s AND k.kind = 'fill'
        AND k.state = 'parked' AND k.fact_id <> %(fill)s AND k.body ->> 'exchange_trade_id' = %(execution)s
        AND k.id < coalesce(own.id, k.id + 1) ORDER BY k.id LIMIT 1) AS waiting_twin,
    own.id IS NOT NULL AS waits
    FROM (SELECT 1) AS one LEFT JOIN parked_facts own ON own.bot_id = %(bot)s AND own.kind = 'fill'
        AND own.fact_id = %(fill)s AND own.state = 'parked'
"""


def record_fill_with_order(bot: BotContext, fill: NewFill, order: NewOrder) -> Plan[Outcome]:
    """Store a fill whose body brings its order along; an order that is known already stays as it is.

    A fill that is refused leaves its order out as well.
    """
    (known,) = yield [Sql(ORDER_ROW, {"bot": bot.bot_id, "id": order.order_id})]
    if known:
        return (yield from record_fill(bot, fill))
    refused = yield from _refusal(bot, fill, order)
    if refused is not None:
        return refused
    stored = yield from within(record_order(bot, order))
    outcome = yield from record_fill(bot, fill)
    if outcome.error is not None:
        # Somebody told of the fill meanwhile: nothing of this may stay.
        raise TryAgain
    return replace(outcome, updates=stored.updates + outcome.updates)


def _refusal(bot: BotContext, fill: NewFill, order: NewOrder) -> Plan[Outcome | None]:
    """Return the answer to a fill that will be refused once its order is there, None for any other."""
    asked = load_keys(bot, fill)
    *_, (row,), (execution,) = yield [
        lock_symbol(bot.bot_id, order.symbol),
        lock_order(bot.bot_id, order.order_id),
        Sql(store.LOAD, asked),
        Sql(EXECUTION, asked | {"symbol": order.symbol}),
    ]
    digest = content_hash(fill.body)
    row = {**row, "symbol": order.symbol, "execution_fill_id": execution["known_as"]}
    if not execution["waits"] or bytes(row["parked_hash"]) == digest:
        # One that waits for this very order is applied with it, unless its execution is known by then.
        row |= {"parked_id": None}
    outcome = yield from seen_before(bot, fill, digest, row)
    if outcome is not None or execution["waiting_twin"] is None:
        return outcome
    twin = execution["waiting_twin"]
    told = f"Execution {fill.exchange_trade_id} waits for its order as fill {twin['fill_id']}."
    error = DuplicateExecution(told, id=fill.fill_id)
    return (yield from conflict(bot, FactKind.FILL, fill.fill_id, stored=twin, received=fill.body, error=error))
