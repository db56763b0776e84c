"""Redis from PostgreSQL: every live key as it should be now."""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone
from redis import Redis

from bots.choices import ACTIVE_ORDER_STATUSES, OPEN_POSITION_STATUSES
from bots.ledger.fold import EXACT
from bots.ledger.shapes import POSITION, SIGNAL, shape
from bots.ledger.symbols import split_symbol
from bots.live import keys
from bots.live.client import sync_client
from bots.live.load import open_positions, realized_today
from bots.live.script import LUA, METRIC_FIELDS, STATE_FIELDS, LiveUpdate, arguments
from bots.models import Bot, Order, Position, Signal

BATCH = 200
# Longer than a rebuild takes; another process may begin anew when one died.
LOCK_SECONDS = 60


def rebuild() -> dict[str, int]:
    """Write every key from PostgreSQL and remove those that should not be there; return how many of each kind.

    Prices are not in PostgreSQL: they stay as they are and come with the next tick. Bots may go on reporting
    meanwhile: what they tell is newer and stays. Raises RedisError.
    """
    client = sync_client()
    script = client.register_script(LUA)
    client.delete(keys.versions(), keys.positions(), *client.scan_iter(match=keys.pending_orders("*"), count=1000))
    counts: dict[str, int] = {}
    wanted: set[str] = set()
    updates = _updates(counts, wanted)
    while batch := list(islice(updates, BATCH)):
        script(args=arguments(batch, is_published=False))
    counts["removed"] = _remove_others(client, wanted)
    client.set(keys.built(), timezone.now().isoformat())
    return counts


def rebuild_if_empty() -> bool:
    """Rebuild when Redis was emptied; one process does it. Returns whether this one did. Raises RedisError."""
    client = sync_client()
    if client.exists(keys.built()) or not client.set(keys.rebuilding(), "1", nx=True, ex=LOCK_SECONDS):
        return False
    try:
        rebuild()
    finally:
        client.delete(keys.rebuilding())
    return True


def repair() -> int:
    """Correct what Redis missed of positions and orders while it was away, or when a process died after its commit.

    The bots' metrics are counted anew. Return how many positions and orders were wrong. Raises RedisError.
    """
    client = sync_client()
    updates = [*_position_repairs(client), *_order_repairs(client)]
    client.register_script(LUA)(args=arguments([*updates, *_bots(METRIC_FIELDS)], is_published=False))
    return len(updates)


def _position_repairs(client: Redis) -> Iterator[LiveUpdate]:
    known = {_text(key): int(version) for key, version in client.hgetall(keys.versions()).items()}
    # Read after Redis: what changes meanwhile is newer here and does no harm there.
    stored = dict(Position.objects.open().values_list("position_id", "version"))
    for position_id in known.keys() - stored.keys():
        text = client.hget(keys.positions(), position_id)
        if text is not None:
            row = {**json.loads(text), "status": "closed", "version": known[position_id]}
            yield _update("position", row["bot_id"], row["symbol"], row)
    for row in open_positions([key for key, version in stored.items() if known.get(key, 0) < version]):
        yield _update("position", row["bot_id"], row["symbol"], row)


def _order_repairs(client: Redis) -> Iterator[LiveUpdate]:
    """Take ended orders off the lists of pending ones; an order that is missing there comes with its next news."""
    bots = list(Bot.objects.values_list("bot_id", flat=True))
    told = {bot_id: set(json.loads(client.get(keys.pending_orders(bot_id)) or "[]")) for bot_id in bots}
    active: dict[str, set[str]] = {}
    for update in _orders():
        active.setdefault(update["bot_id"], set()).add(update["data"]["order_id"])
    for bot_id in bots:
        for order_id in told[bot_id] - active.get(bot_id, set()):
            yield _update("order", bot_id, "", {"order_id": order_id, "status": "cancelled"})


def _text(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else key


def _updates(counts: dict[str, int], wanted: set[str]) -> Iterator[LiveUpdate]:
    sources = {"positions": _positions, "bots": _bots, "signals": _signals, "orders": _orders}
    for kind, read in sources.items():
        counts[kind] = 0
        for update in read():
            counts[kind] += 1
            wanted.update(_keys_of(update))
            yield update


def _keys_of(update: LiveUpdate) -> Iterable[str]:
    bot_id = update["bot_id"]
    match update["kind"]:
        case "position":
            return [keys.bot_position(bot_id, update["symbol"])]
        case "bot":
            return [keys.bot_state(bot_id), keys.bot_metrics(bot_id)]
        case "signal":
            return [keys.last_signal(bot_id)]
        case _:
            return [keys.pending_orders(bot_id)]


def _positions() -> Iterator[LiveUpdate]:
    for row in Position.objects.open().values(*POSITION).iterator():
        yield _update("position", row["bot_id"], row["symbol"], shape(row, POSITION))


def _bots(fields: tuple[str, ...] = (*STATE_FIELDS, *METRIC_FIELDS)) -> Iterator[LiveUpdate]:
    """Yield the bots with some of their fields; open positions and the net P&L of the UTC day are counted anew."""
    realized: dict[str, Decimal] = {}
    currencies = dict(Bot.objects.values_list("bot_id", "currency"))
    now = timezone.now()
    for (bot_id, symbol), net in realized_today(now=now).items():
        # Unlike currencies are never added.
        if split_symbol(symbol, currencies[bot_id])[1] == currencies[bot_id]:
            realized[bot_id] = EXACT.add(realized.get(bot_id, Decimal(0)), net)
    is_open = Q(positions__status__in=OPEN_POSITION_STATUSES)
    columns = {field.name for field in Bot._meta.fields} & set(fields)
    for row in Bot.objects.values("bot_id", *columns).annotate(open_positions=Count("positions", filter=is_open)):
        data = {**row, "daily_pnl": realized.get(row["bot_id"], Decimal(0)), "as_of": now}
        yield _update("bot", row["bot_id"], "", shape(data, fields))


def _signals() -> Iterator[LiveUpdate]:
    newest = Signal.objects.order_by("bot_id", "-timestamp").distinct("bot_id")
    for row in newest.values(*SIGNAL):
        yield _update("signal", row["bot_id"], row["symbol"], shape(row, SIGNAL))


def _orders() -> Iterator[LiveUpdate]:
    rows = Order.objects.filter(status__in=ACTIVE_ORDER_STATUSES).order_by("created_at")
    for bot_id, symbol, order_id, status in rows.values_list("bot_id", "symbol", "order_id", "status").iterator():
        yield _update("order", bot_id, symbol, {"order_id": order_id, "status": status})


def _update(kind: Any, bot_id: str, symbol: str, data: dict[str, Any]) -> LiveUpdate:
    return LiveUpdate(kind=kind, bot_id=bot_id, symbol=symbol, data=data)


def _remove_others(client: Redis, wanted: set[str]) -> int:
    """Remove keys of positions, signals and orders that are over."""
    removed = 0
    for pattern in (keys.bot_position("*", "*"), keys.last_signal("*"), keys.pending_orders("*")):
        for key in client.scan_iter(match=pattern, count=1000):
            if key.decode() not in wanted:
                removed += client.unlink(key)
    return removed
