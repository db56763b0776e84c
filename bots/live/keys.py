"""Names of what the live layer keeps in Redis: the keys of seed 000, letter by letter, and ours beside them.

Everything here can be emptied at any time and is rebuilt from PostgreSQL; a missing key means "unknown", never "flat".
"""

from urllib.parse import urlsplit

from django.conf import settings

PRICE_SECONDS = 60
# How long a closed position or an ended order keeps late news of its former state out.
GONE_SECONDS = 600


def _key(name: str) -> str:
    return f"{settings.REDIS_PREFIX}{name}"


def price(symbol: str) -> str:
    """JSON {"price", "timestamp"}; ends by itself after 60 s."""
    return _key(f"price:{symbol}")


def bot_state(bot_id: str) -> str:
    """JSON {"status", "last_heartbeat", …}."""
    return _key(f"bot:{bot_id}:state")


def bot_position(bot_id: str, symbol: str) -> str:
    """JSON {"size", "entry_price", "side", …} of the open position; no key when flat or unknown."""
    return _key(f"bot:{bot_id}:position:{symbol}")


def bot_metrics(bot_id: str) -> str:
    """JSON {"equity", "daily_pnl", "open_positions", …}; the last two are counted from time to time, see `as_of`."""
    return _key(f"bot:{bot_id}:metrics")


def last_signal(bot_id: str) -> str:
    """JSON of the newest signal."""
    return _key(f"session:{bot_id}:last_signal")


def pending_orders(bot_id: str) -> str:
    """JSON list of the ids of orders the exchange may still fill."""
    return _key(f"session:{bot_id}:pending_orders")


def rate_limit(bot_id: str) -> str:
    """Hash: bucket to the time at which it is empty again; ends by itself after 60 s."""
    return _key(f"ratelimit:api:{bot_id}")


def gone(kind: str, bot_id: str, item_id: str) -> str:
    """Tombstone of a closed position or an ended order."""
    return _key(f"live:gone:{kind}:{bot_id}:{item_id}")


def positions() -> str:
    """Hash: position_id to the wire JSON of every open position."""
    return _key("live:positions")


def versions() -> str:
    """Hash: position_id to the version in `positions`."""
    return _key("live:versions")


def prices() -> str:
    """Hash: symbol to the JSON of its newest price, however old."""
    return _key("live:prices")


def moments() -> str:
    """Hash: key to the time (microseconds since 1970) of what it holds, so that older news never wins."""
    return _key("live:moments")


def built() -> str:
    """Marker: it is there unless Redis was emptied since the last rebuild."""
    return _key("live:built")


def rebuilding() -> str:
    """Lock of the process that rebuilds."""
    return _key("live:rebuilding")


def channel() -> str:
    """Pub/sub channel of the updates. Redis channels ignore the database number, so the name carries it."""
    database = urlsplit(settings.REDIS_URL).path.strip("/") or "0"
    return _key(f"live:{database}:updates")
