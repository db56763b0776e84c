"""Hand-made candles for the demo's tests."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import pi, sin

from demo.candles import Candle, CandleSet

START = datetime(2024, 1, 1, tzinfo=UTC)


def candle(number: int, open_: str, high: str, low: str, close: str, volume: str = "100") -> Candle:
    """One hourly candle."""
    values = (Decimal(value) for value in (open_, high, low, close, volume))
    return Candle(START + timedelta(hours=number), *values)


def from_closes(closes: Iterable[Decimal | str], wick: Decimal = Decimal("0.1")) -> list[Candle]:
    """Hourly candles that open at the close before and reach a little beyond open and close."""
    candles: list[Candle] = []
    for number, text in enumerate(closes):
        close = Decimal(text)
        open_ = candles[-1].close if candles else close
        high, low = max(open_, close) + wick, min(open_, close) - wick
        candles.append(Candle(START + timedelta(hours=number), open_, high, low, close, Decimal(100)))
    return candles


def waves(symbol: str = "WAVEUSDT", *, count: int = 400, period: int = 50) -> CandleSet:
    """A symbol that swings around 100, so that every strategy finds something."""
    closes = (Decimal(f"{100 + 5 * sin(2 * pi * k / period) + sin(k):.2f}") for k in range(count))
    return CandleSet(symbol, "1h", tuple(from_closes(closes)))
