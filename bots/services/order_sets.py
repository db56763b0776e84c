"""Many orders, or news of many orders, told together: what is unremarkable about them is written in one go."""

from collections.abc import Mapping, Sequence

from django.utils import timezone

from bots.ledger.content import content_hash
from bots.ledger.facts import NewOrder, OrderNews
from bots.ledger.shapes import ORDER, shape
from bots.services.context import BotContext
from bots.services.locks import lock_many, lock_orders
from bots.services.orders import (
    Change,
    change_of,
    first_event,
    new_order_values,
    news_event,
    order_told,
    record_order,
    record_order_news,
)
from bots.services.permits import HALTED_ORDERS
from bots.services.plan import Last, Outcome, Plan, Row, Sql
from bots.services.sets import End, insert_many, one_by_one, update_many

# Orders that are there, or for which something waits.
AWAITED = """
    SELECT order_id FROM orders WHERE bot_id = %(bot)s AND order_id = ANY(%(orders)s::varchar[])
    UNION ALL
    SELECT order_id FROM parked_facts
    WHERE bot_id = %(bot)s AND order_id = ANY(%(orders)s::varchar[]) AND state = 'parked'
"""
ORDER_ROWS = "SELECT * FROM orders WHERE bot_id = %(bot)s AND order_id = ANY(%(orders)s::varchar[])"
SEEN_NEWS = """
    SELECT n.order_id FROM unnest(%(orders)s::varchar[], %(hashes)s::bytea[]) AS n(order_id, hash)
    WHERE EXISTS (SELECT FROM order_events e
        WHERE e.bot_id = %(bot)s AND e.order_id = n.order_id AND e.content_hash = n.hash)
"""
NEWS_COLUMNS = (
    "order_id", "updated_at", "exchange_order_id", "rejection_reason", "error_code", "retry_count", "status",
    "reported_status", "reported_at", "flags", "submitted_at",
)  # fmt: skip


def record_reports(bot: BotContext, orders: Sequence[NewOrder]) -> Plan[list[End]]:
    """Store orders that are at the exchange, no two of one id. The locks of their symbols are held."""
    now = timezone.now()
    ids = [order.order_id for order in orders]
    asked = {"bot": bot.bot_id, "exchange": bot.exchange, "orders": ids}
    made = {"symbols": [order.symbol for order in orders], "times": [order.created_at or now for order in orders]}
    _, awaited, halted = yield [
        lock_orders(bot.bot_id, ids), Sql(AWAITED, asked), Sql(HALTED_ORDERS, asked | made),
    ]  # fmt: skip
    remarkable = {row["order_id"] for row in (*awaited, *halted)}
    plain = [order for order in orders if order.order_id not in remarkable]
    ends: dict[str, End] = {}
    if plain:
        values = [new_order_values(bot, order, content_hash(order.body), now, []) for order in plain]
        events = [first_event(row, {}) for row in values]
        writes = [insert_many("orders", values), insert_many("order_events", events, suffix="")]
        rows = yield writes if remarkable else Last(writes)
        for row in rows[0]:
            body = shape(row, ORDER)
            ends[body["order_id"]] = Outcome(201, body, updates=(order_told(bot, body),))
    others = [order for order in orders if order.order_id in remarkable]
    ends |= zip(
        (order.order_id for order in others),
        (yield from one_by_one([record_order(bot, order) for order in others])),
        strict=True,
    )
    return [ends[order_id] for order_id in ids]


def record_all_news(bot: BotContext, told: Sequence[OrderNews]) -> Plan[list[End]]:
    """Keep what is told of orders, of each one thing."""
    now = timezone.now()
    ids = [news.order_id for news in told]
    digests = {news.order_id: content_hash({**news.body, "order_id": news.order_id}) for news in told}
    asked = {"bot": bot.bot_id, "orders": ids}
    _, rows, seen = yield [
        lock_many(bot.bot_id, [], ids),
        Sql(ORDER_ROWS, asked),
        Sql(SEEN_NEWS, asked | {"hashes": [digests[order_id] for order_id in ids]}),
    ]
    known = {row["order_id"]: row for row in rows}
    for one in seen:
        known.pop(one["order_id"], None)
    changes: dict[str, tuple[OrderNews, Row, Change]] = {}
    for news in told:
        if news.order_id in known:
            change = change_of(news, known[news.order_id], now)
            # After an end that is new, fills may have come that were told before it.
            if change.ended_at is None:
                changes[news.order_id] = (news, known[news.order_id], change)
    others = [news for news in told if news.order_id not in changes]
    ends: dict[str, End] = {}
    if changes:
        writes = _news_writes(bot, [*changes.values()], digests)
        moved, _ = yield writes if others else Last(writes)
        for one in moved:
            body = shape(one, ORDER)
            flags = changes[body["order_id"]][2].flags
            ends[body["order_id"]] = Outcome(200, body | {"flags": flags}, updates=(order_told(bot, body),))
    ends |= zip(
        (news.order_id for news in others),
        (yield from one_by_one([record_order_news(bot, news) for news in others])),
        strict=True,
    )
    return [ends[order_id] for order_id in ids]


def _news_writes(
    bot: BotContext, changes: Sequence[tuple[OrderNews, Row, Change]], digests: Mapping[str, bytes]
) -> list[Sql]:
    moved = [{**row, **change.values} for _, row, change in changes]
    events = [news_event(bot, news, row, change, digests[news.order_id]) for news, row, change in changes]
    columns = [{name: row[name] for name in NEWS_COLUMNS} for row in moved]
    return [
        update_many("orders", columns, key="order_id", bot_id=bot.bot_id),
        insert_many("order_events", events, suffix=""),
    ]
