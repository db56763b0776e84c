"""What one currency is worth in another, where the ledger knows it: from stored candles."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal, localcontext
from typing import NamedTuple

from analytics.metrics.borders import EXACT, to_money
from analytics.selectors.sql import fetch

# The newest candle that began at or before the moment, as for fees: BTCUSDT prices BTC in USDT, and USDT in BTC.
RATES = """
    SELECT w.base, w.quote, w.at, direct.close_price, inverse.close_price
    FROM unnest(%(bases)s::text[], %(quotes)s::text[], %(times)s::timestamptz[]) AS w(base, quote, at)
    LEFT JOIN LATERAL (
        SELECT close_price FROM market_data
        WHERE symbol = w.base || w.quote AND "timestamp" <= w.at ORDER BY "timestamp" DESC LIMIT 1
    ) direct ON true
    LEFT JOIN LATERAL (
        SELECT close_price FROM market_data
        WHERE symbol = w.quote || w.base AND "timestamp" <= w.at ORDER BY "timestamp" DESC LIMIT 1
    ) inverse ON true
"""


class RateKey(NamedTuple):
    """Which rate is wanted: the price of one `base` in `quote` at a moment."""

    base: str
    quote: str
    at: datetime


def rates_at(keys: Collection[RateKey]) -> dict[RateKey, Decimal]:
    """Return the rates that are known, in one query; a rate that is not known is not in the result."""
    if not keys:
        return {}
    wanted = sorted(set(keys))
    bases, quotes, times = zip(*wanted, strict=True)
    rates: dict[RateKey, Decimal] = {}
    for base, quote, at, direct, inverse in fetch(RATES, bases=list(bases), quotes=list(quotes), times=list(times)):
        if direct is not None:
            rates[RateKey(base, quote, at)] = direct
        elif inverse is not None:
            rates[RateKey(base, quote, at)] = inverted(inverse)
    return rates


def inverted(rate: Decimal) -> Decimal:
    """Return 1 / rate, to 18 decimals."""
    with localcontext(EXACT):
        return to_money(1 / rate)
