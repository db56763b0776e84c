"""Reading back what the live layer keeps in Redis."""

import json
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from bots.live import keys
from bots.live.client import async_client, sync_client
from bots.live.script import LiveUpdate


def price_updates(stored: Mapping[Any, Any]) -> list[LiveUpdate]:
    """Return the stored prices as the updates they came from; what is not ours is left out."""
    updates = []
    for symbol, text in stored.items():
        try:
            data: dict[str, Any] = json.loads(text)
            data = {"symbol": symbol.decode(), "price": data["price"], "timestamp": data["timestamp"]}
        except (ValueError, KeyError, TypeError):
            continue
        updates.append(LiveUpdate(kind="price", bot_id="", symbol=data["symbol"], data=data))
    return updates


async def astored_prices() -> list[LiveUpdate]:
    """Return the newest price of every symbol. Raises RedisError."""
    client = await async_client()
    return price_updates(await client.hgetall(keys.prices()))


def stored_prices() -> list[LiveUpdate] | None:
    """The same from sync code; None while Redis is away."""
    try:
        return price_updates(sync_client().hgetall(keys.prices()))
    except RedisError:
        return None
