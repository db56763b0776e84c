"""Orders: asked for or reported, and what is told of them afterwards."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils import timezone

from bots.choices import (
    TERMINAL_ORDER_STATUSES,
    CaseKind,
    FactKind,
    OrderIntent,
    OrderStatus,
    ParkedState,
)
from bots.ledger.bodies import fact_from
from bots.ledger.content import content_hash
from bots.ledger.facts import NewFill, NewOrder, OrderNews
from bots.ledger.orders import lacks_fills, may_move, status_of
from bots.ledger.risk import Reason, contract
from bots.ledger.shapes import ORDER, plain, shape
from bots.live.publish import LiveUpdate
from bots.services import ledger_store as store
from bots.services.breaches import open_case
from bots.services.conflicts import conflict
from bots.services.context import BotContext, run_for
from bots.services.disobedience import disobedience, disobedience_update
from bots.services.fills import ENDED, apply_fill, load_keys, park, seen_before
from bots.services.locks import lock_admission, lock_order, lock_symbol, lock_symbol_of_order, share_controls
from bots.services.permits import controls_and_status, halts_at, states_now
from bots.services.plan import Last, Outcome, Plan, Row, Sql, TryAgain, insert, update, within
from bots.services.risk import evaluate, refusal_events
from tradingdb.lib.errors import RiskRejected

ORDER_ROW = "SELECT * FROM orders WHERE bot_id = %(bot)s AND order_id = %(id)s"
PARKED = """
    SELECT id, kind, fact_id, body, content_hash, source FROM parked_facts
    WHERE bot_id = %(bot)s AND order_id = %(id)s AND state = 'parked' ORDER BY id
"""
UNPARK = "UPDATE parked_facts SET state = %(state)s, applied_at = %(now)s WHERE id = %(id)s"
KEY = "bot_id = %(k_bot)s AND order_id = %(k_id)s"
SEEN_NEWS = """
    SELECT 1 FROM order_events WHERE bot_id = %(bot)s AND order_id = %(id)s AND content_hash = %(hash)s LIMIT 1
"""


def record_order(bot: BotContext, order: NewOrder) -> Plan[Outcome]:
    """Store one order, and with it every fact that was parked for it.

    A request is admitted or refused in this transaction; a refused one is stored as rejected. A report is always
    stored: the order is at the exchange already.
    """
    now = timezone.now()
    digest = content_hash(order.body)
    key = {"bot": bot.bot_id, "id": order.order_id}
    locks = [lock_symbol(bot.bot_id, order.symbol), lock_order(bot.bot_id, order.order_id)]
    is_request = order.intent == OrderIntent.REQUEST
    if is_request:
        locks = [lock_admission(bot.bot_id), *locks, share_controls(bot.bot_id, bot.exchange, order.symbol)]
        asked = controls_and_status(bot, order.symbol)
    else:
        asked = halts_at(bot, order.symbol, order.created_at or now)
    *_, stored, parked, states = yield [*locks, Sql(ORDER_ROW, key), Sql(PARKED, key), asked]
    if stored:
        return (yield from _repeat(bot, order, stored[0], digest))
    reasons: list[Reason] = []
    if is_request:
        states = states_now(bot, states)
        reasons = yield from evaluate(bot, order, states, now)
    values = new_order_values(bot, order, digest, now, reasons)
    if is_request and not reasons:
        values["control_seq"] = max((row["server_seq"] for row in states), default=0)
    disobeyed = bool(states) and not is_request
    extra = disobedience(bot, order, states, now) if disobeyed else refusal_events(bot, order, reasons, now)
    told = [contract(reason) for reason in reasons]
    event = first_event(values, {"reasons": told} if told else {})
    writes = [insert("orders", values), insert("order_events", event, suffix=""), *extra]
    rows = yield writes if parked else Last(writes)
    body = shape(rows[0][0], ORDER)
    updates: list[LiveUpdate] = []
    for fact in parked:
        outcome = yield from _apply_parked(bot, order, fact, now)
        updates += outcome.updates
    if parked:
        ((row,),) = yield [Sql(ORDER_ROW, key)]
        body = shape(row, ORDER)
    updates.append(order_told(bot, body))
    if disobeyed:
        updates.append(disobedience_update(bot, order, states, now))
    if reasons:
        # What was parked is applied all the same: it happened, although the order was never admitted.
        return Outcome(409, body, error=_refused(order.order_id, told, body), updates=tuple(updates))
    return Outcome(201, body, updates=tuple(updates))


def _repeat(bot: BotContext, order: NewOrder, row: Row, digest: bytes) -> Plan[Outcome]:
    body = shape(row, ORDER)
    if row["content_hash"] is None or bytes(row["content_hash"]) != digest:
        return (yield from conflict(bot, FactKind.ORDER, order.order_id, stored=body, received=order.body))
    if row["error_code"] == RiskRejected.code:
        # The same answer as the first time: a bot that lost it must not take 200 for "go".
        (events,) = yield [Sql(REFUSAL, {"bot": bot.bot_id, "id": order.order_id})]
        reasons = events[0]["reasons"] if events else []
        return Outcome(409, body, error=_refused(order.order_id, reasons, body, is_replay=True))
    return Outcome(200, body, replayed=True)


REFUSAL = """
    SELECT details -> 'reasons' AS reasons FROM order_events
    WHERE bot_id = %(bot)s AND order_id = %(id)s AND details ? 'reasons' ORDER BY id LIMIT 1
"""


def _refused(order_id: str, reasons: list[Reason], body: dict[str, Any], *, is_replay: bool = False) -> RiskRejected:
    rules = ", ".join(reason["rule"] for reason in reasons)
    message = f"Order {order_id} is refused: {rules}."
    return RiskRejected(message, id=order_id, reasons=reasons, order=body, is_replay=is_replay)


def order_told(bot: BotContext, body: dict[str, Any]) -> LiveUpdate:
    """Return what the live layer hears of an order."""
    return LiveUpdate(kind="order", bot_id=bot.bot_id, symbol=body["symbol"], data=body)


def new_order_values(
    bot: BotContext, order: NewOrder, digest: bytes, now: datetime, reasons: list[Reason]
) -> dict[str, Any]:
    reported = OrderStatus(order.status) if order.status else OrderStatus.PENDING
    if reasons:
        reported = OrderStatus.REJECTED
    status = status_of(reported, filled=Decimal(0), quantity=order.quantity)
    created_at = order.created_at or now
    return {
        "bot_id": bot.bot_id,
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "order_type": order.order_type,
        "intent": order.intent,
        "quantity": order.quantity,
        "price": order.price,
        "stop_price": order.stop_price,
        "leverage": order.leverage,
        "reduce_only": order.reduce_only,
        "is_paper_trade": bot.mode != "live",
        "client_order_id": order.client_order_id,
        "exchange_order_id": order.exchange_order_id,
        "order_purpose": order.order_purpose,
        "strategy": order.strategy,
        "signal_id": order.signal_id,
        "order_metadata": order.order_metadata,
        "status": status,
        "reported_status": reported,
        "submitted_at": created_at if status == OrderStatus.SUBMITTED else None,
        "rejection_reason": "; ".join(f"{r['rule']}: {r['current']} of {r['limit']}" for r in reasons) or None,
        "error_code": RiskRejected.code if reasons else None,
        "flags": ["awaiting_fills"] if lacks_fills(reported, status) else [],
        "created_at": created_at,
        "received_at": now,
        "updated_at": now,
        "source": order.source,
        "config_version": bot.config_version,
        "content_hash": digest,
    }


def first_event(values: dict[str, Any], details: dict[str, Any]) -> dict[str, Any]:
    """Return the first row of an order's history."""
    return {
        "bot_id": values["bot_id"], "order_id": values["order_id"], "to_status": values["status"],
        "source": values["source"], "at": values["created_at"], "details": details,
    }  # fmt: skip


def _apply_parked(bot: BotContext, order: NewOrder, fact: Row, now: datetime) -> Plan[Outcome]:
    """Apply one parked fact to the order that has just been stored."""
    done = {"id": fact["id"], "now": now}
    body, digest = fact["body"], bytes(fact["content_hash"])
    if fact["kind"] == FactKind.ORDER_UPDATE:
        key = {"bot": bot.bot_id, "id": order.order_id}
        _, (row,) = yield [Sql(UNPARK, done | {"state": ParkedState.APPLIED.value}), Sql(ORDER_ROW, key)]
        news = fact_from(OrderNews, body, source=fact["source"])
        return (yield from within(_apply_news(bot, news, row, digest=digest, now=now)))
    fill = fact_from(NewFill, body, source=fact["source"])
    ((row,),) = yield [Sql(store.LOAD, load_keys(bot, fill))]
    known = yield from within(seen_before(bot, fill, digest, row))
    state = ParkedState.REFUSED if known else ParkedState.APPLIED
    yield [Sql(UNPARK, done | {"state": state.value})]
    if known:
        # Its execution came meanwhile under another id: both bodies are kept, and the order is stored all the same.
        return replace(known, error=None)
    return (yield from within(apply_fill(bot, fill, row, digest=digest, now=now)))


def record_order_news(bot: BotContext, news: OrderNews) -> Plan[Outcome]:
    """Keep what is told of an order, and move its status where the table of allowed moves has it."""
    now = timezone.now()
    digest = content_hash({**news.body, "order_id": news.order_id})
    key = {"bot": bot.bot_id, "id": news.order_id}
    _, rows, seen = yield [
        lock_symbol_of_order(bot.bot_id, news.order_id),
        Sql(ORDER_ROW, key),
        Sql(SEEN_NEWS, key | {"hash": digest}),
    ]
    if rows and seen:
        return Outcome(200, shape(rows[0], ORDER), replayed=True)
    if rows:
        return (yield from _apply_news(bot, news, rows[0], digest=digest, now=now))
    fact_id = digest.hex()
    _, rows, parked = yield [
        lock_order(bot.bot_id, news.order_id),
        Sql(ORDER_ROW, key),
        Sql(PARKED_NEWS, {"bot": bot.bot_id, "fact": fact_id}),
    ]
    if rows:
        raise TryAgain
    body = {"state": "parked", "order_id": news.order_id}
    if parked:
        return Outcome(200, body, replayed=True)
    kept = dict(news.body) | {"order_id": news.order_id, "at": news.at or now}
    kind = FactKind.ORDER_UPDATE
    yield [park(bot, kind, fact_id, news.order_id, body=kept, digest=digest, source=news.source)]
    return Outcome(202, body)


PARKED_NEWS = "SELECT 1 FROM parked_facts WHERE bot_id = %(bot)s AND kind = 'order_update' AND fact_id = %(fact)s"


FILLED_AFTER = """
    SELECT sum(quantity) AS quantity FROM fills
    WHERE bot_id = %(bot)s AND order_id = %(id)s AND executed_at > %(at)s
"""


class Change(NamedTuple):
    """What news does to its order's row. `ended_at`: an end that was not known before; fills may have come after it."""

    values: dict[str, Any]
    flags: list[str]
    at: datetime
    ended_at: datetime | None


def change_of(news: OrderNews, row: Row, now: datetime) -> Change:
    """Return what news does to its order."""
    at = news.at or now
    old = OrderStatus(row["reported_status"])
    new = OrderStatus(news.status) if news.status else old
    flags = _news_flags(row, old, new, at)
    values: dict[str, Any] = {"updated_at": now}
    for name in ("exchange_order_id", "rejection_reason", "error_code", "retry_count"):
        if getattr(news, name) is not None:
            values[name] = getattr(news, name)
    if not news.status or flags:
        return Change(values, flags, at, None)
    status = status_of(new, filled=row["filled_quantity"], quantity=row["quantity"])
    waits = lacks_fills(new, status)
    flags = ["awaiting_fills"] if waits else []
    told_at = _told_at(row, new, at)
    values |= {"status": status, "reported_status": new, "reported_at": told_at}
    values["flags"] = sorted({*row["flags"], "awaiting_fills"} if waits else {*row["flags"]} - {"awaiting_fills"})
    if new == OrderStatus.SUBMITTED and row["submitted_at"] is None:
        values["submitted_at"] = at
    is_new_end = new in ENDED and row["filled_quantity"] and (new != old or told_at != row["reported_at"])
    return Change(values, flags, at, told_at if is_new_end else None)


def news_event(bot: BotContext, news: OrderNews, row: Row, change: Change, digest: bytes) -> dict[str, Any]:
    """Return the row of the order's history that keeps what was told."""
    return {
        "bot_id": bot.bot_id, "order_id": news.order_id, "from_status": row["status"], "to_status": news.status,
        "was_applied": not {*change.flags} & {"invalid_transition", "stale"}, "flags": change.flags, "at": change.at,
        "source": news.source, "details": {k: v for k, v in news.body.items() if v is not None},
        "content_hash": digest,
    }  # fmt: skip


def _apply_news(bot: BotContext, news: OrderNews, row: Row, *, digest: bytes, now: datetime) -> Plan[Outcome]:
    change = change_of(news, row, now)
    values = change.values
    if change.ended_at is not None:
        late = yield from _filled_after(bot, row, change.ended_at, now)
        values["flags"] = sorted({*values["flags"], *late})
    event = news_event(bot, news, row, change, digest)
    keys = {"k_bot": bot.bot_id, "k_id": news.order_id}
    moved = update("orders", values, where=KEY, keys=keys)
    (rows, _) = yield Last([moved, insert("order_events", event, suffix="")])
    body = shape(rows[0], ORDER)
    return Outcome(200, body | {"flags": change.flags}, updates=(order_told(bot, body),))


def _told_at(row: Row, new: OrderStatus, at: datetime) -> datetime:
    """Return the moment of what an order is told to be: of an end the earliest that was told, else the latest.

    An end that is told again did not happen again; a status that is told again was still so then. Neither depends on
    which of the two came first.
    """
    known: datetime | None = row["reported_at"]
    if known is None or new != row["reported_status"]:
        return at
    return min(known, at) if new in TERMINAL_ORDER_STATUSES else max(known, at)


def _filled_after(bot: BotContext, row: Row, at: datetime, now: datetime) -> Plan[list[str]]:
    """Return the order's flag when fills from after its end came before the news of it, and open their case."""
    ((late,),) = yield [Sql(FILLED_AFTER, {"bot": bot.bot_id, "id": row["order_id"], "at": at})]
    if late["quantity"] is None:
        return []
    kind, told = CaseKind.FILL_AFTER_TERMINAL, {"quantity": plain(late["quantity"])}
    yield [
        open_case(
            bot, kind, symbol=row["symbol"], subject_id=row["order_id"], expected={"quantity": "0"}, reported=told,
            now=now,
        )
    ]  # fmt: skip
    return ["after_order_ended"]


def _news_flags(row: Row, old: OrderStatus, new: OrderStatus, at: datetime) -> list[str]:
    """Return why the told status is not taken over; nothing when it is."""
    if new == old:
        return []
    if row["reported_at"] is not None and at < row["reported_at"]:
        return ["stale"]
    # Fills move an order on their own; what is told must be possible from where either of them stands.
    if not may_move(old, new) or not may_move(OrderStatus(row["status"]), new):
        return ["invalid_transition"]
    return []


def order_place(*, bot_id: str, order: NewOrder) -> Outcome:
    """Store one order of a bot. Raises NotFound, Conflict, and RiskRejected (the order is stored as rejected then)."""
    return run_for(bot_id, lambda bot: record_order(bot, order))


def order_apply_news(*, bot_id: str, news: OrderNews) -> Outcome:
    """Keep what is told of an order and move its status where that is allowed. Raises NotFound."""
    return run_for(bot_id, lambda bot: record_order_news(bot, news))
