"""Marks: what open positions are worth at the last known prices, written to PostgreSQL every few seconds.

Browsers are shown each price at once by the live layer; these rows serve everything else.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from django.db import connection

from bots.live import keys
from bots.live.client import sync_client
from bots.models import Position

# A row that a fill is changing at this moment is passed over: the fold writes a mark of its own, and the next round
# comes soon. A mark is never older than the one it replaces. The version stays: size and cost did not change.
MARK = """
    WITH due AS (
        SELECT p.id, v.price, v.at,
            CASE p.side WHEN 'long' THEN v.price * p.size - p.cost_basis ELSE p.cost_basis - v.price * p.size END AS pnl
        FROM positions p
        JOIN unnest(%(symbols)s::text[], %(prices)s::numeric[], %(times)s::timestamptz[]) AS v(symbol, price, at)
            ON v.symbol = p.symbol
        WHERE p.status IN ('open', 'partially_closed') AND (p.marked_at IS NULL OR p.marked_at < v.at)
        ORDER BY p.id FOR NO KEY UPDATE OF p SKIP LOCKED
    )
    UPDATE positions p SET
        current_price = due.price,
        marked_at = due.at,
        unrealized_pnl = due.pnl,
        unrealized_pnl_pct = CASE
            WHEN abs(due.pnl) < p.cost_basis * 1e12 THEN round(due.pnl / p.cost_basis, 12) ELSE 0
        END,
        highest_price = greatest(p.highest_price, due.price),
        lowest_price = least(p.lowest_price, due.price)
    FROM due WHERE p.id = due.id
"""


class Price(NamedTuple):
    """The last price of a symbol, as Redis holds it for a minute."""

    symbol: str
    price: Decimal
    at: datetime


def positions_mark() -> int:
    """Value every open position at the last price of its symbol; return how many rows changed.

    A symbol without a known price leaves its positions as they are: unknown is not zero. Raises RedisError when
    Redis is away.
    """
    symbols = sorted(Position.objects.open().values_list("symbol", flat=True).distinct().order_by())
    prices = _prices(symbols)
    if not prices:
        return 0
    columns: dict[str, Any] = {
        "symbols": [price.symbol for price in prices],
        "prices": [price.price for price in prices],
        "times": [price.at for price in prices],
    }
    with connection.cursor() as cursor:
        cursor.execute(MARK, columns)
        return int(cursor.rowcount)


def _prices(symbols: Sequence[str]) -> list[Price]:
    """Return the prices that are known."""
    if not symbols:
        return []
    texts = sync_client().mget([keys.price(symbol) for symbol in symbols])
    prices = [_price(symbol, text) for symbol, text in zip(symbols, texts, strict=True) if text is not None]
    return [price for price in prices if price is not None]


def _price(symbol: str, text: bytes | str) -> Price | None:
    """Read one price; None for what is not ours, since anything may be written into Redis."""
    try:
        data = json.loads(text)
        price, at = Decimal(str(data["price"])), datetime.fromisoformat(data["timestamp"])
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return None
    return Price(symbol, price, at) if price.is_finite() and price > 0 and at.tzinfo is not None else None
