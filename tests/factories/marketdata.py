"""Candles, books and indicators."""

from decimal import Decimal
from typing import Any

from marketdata.models import Candle, OrderBookSnapshot, TechnicalIndicator
from tests.factories.base import NOON, create, numbers


def CandleFactory(**columns: Any) -> Candle:  # noqa: N802
    """A flat one-minute candle of BTCUSDT at 100."""
    prices = dict.fromkeys(("open_price", "high_price", "low_price", "close_price"), Decimal(100))
    defaults = {"symbol": "BTCUSDT", "interval": "1m", "timestamp": NOON, "volume": Decimal(1), **prices}
    return create(Candle, columns, defaults)


def OrderBookSnapshotFactory(**columns: Any) -> OrderBookSnapshot:  # noqa: N802
    """A book of BTCUSDT with two bids and one ask."""
    defaults = {
        "symbol": "BTCUSDT",
        "timestamp": NOON,
        "bids": [["99.5", "2"], ["99.4", "0.001"]],
        "asks": [["100.5", "1.25"]],
        "last_update_id": next(numbers),
    }
    return create(OrderBookSnapshot, columns, defaults)


def TechnicalIndicatorFactory(**columns: Any) -> TechnicalIndicator:  # noqa: N802
    """The RSI over 14 one-hour candles of BTCUSDT."""
    defaults = {
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "timestamp": NOON,
        "indicator_name": "rsi",
        "value": Decimal("55.5"),
        "parameters": {"period": 14},
    }
    return create(TechnicalIndicator, columns, defaults)
