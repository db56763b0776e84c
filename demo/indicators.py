"""Streaming indicators on floats. They feed decisions only: no amount of money is computed here."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ema:
    """Exponential moving average with weight 2 / (span + 1), started at the first value."""

    span: int
    value: float | None = None

    def update(self, x: float) -> float:
        self.value = x if self.value is None else self.value + (x - self.value) * 2.0 / (self.span + 1)
        return self.value


@dataclass(slots=True)
class Atr:
    """Average true range by Wilder's smoothing (weight 1 / period), in price units.

    Source: J. W. Wilder, "New Concepts in Technical Trading Systems", 1978.
    """

    period: int = 14
    value: float = 0.0
    seen: int = 0
    previous_close: float | None = None

    def update(self, *, high: float, low: float, close: float) -> float:
        before = close if self.previous_close is None else self.previous_close
        true_range = max(high, before) - min(low, before)
        self.seen += 1
        self.value += (true_range - self.value) / min(self.seen, self.period)
        self.previous_close = close
        return self.value


@dataclass(slots=True)
class Rsi:
    """Relative strength index by Wilder's smoothing, 0 to 100; 50 while nothing moved. Source: as for Atr."""

    period: int = 14
    gain: float = 0.0
    loss: float = 0.0
    seen: int = 0
    previous: float | None = None

    def update(self, close: float) -> float:
        change = 0.0 if self.previous is None else close - self.previous
        self.previous = close
        self.seen += 1
        weight = 1.0 / min(self.seen, self.period)
        self.gain += (max(change, 0.0) - self.gain) * weight
        self.loss += (max(-change, 0.0) - self.loss) * weight
        total = self.gain + self.loss
        return 50.0 if total == 0.0 else 100.0 * self.gain / total


@dataclass(slots=True)
class Macd:
    """Moving average convergence/divergence: EMA(12) minus EMA(26), against its own EMA(9), in price units."""

    fast: Ema = field(default_factory=lambda: Ema(12))
    slow: Ema = field(default_factory=lambda: Ema(26))
    signal: Ema = field(default_factory=lambda: Ema(9))

    def update(self, close: float) -> float:
        """Return the histogram: line minus signal."""
        line = self.fast.update(close) - self.slow.update(close)
        return line - self.signal.update(line)


class Window:
    """The last `size` values, without the one being looked at: update it after asking."""

    def __init__(self, size: int) -> None:
        self.values: deque[float] = deque(maxlen=size)

    @property
    def full(self) -> bool:
        return len(self.values) == self.values.maxlen

    @property
    def highest(self) -> float:
        return max(self.values)

    @property
    def lowest(self) -> float:
        return min(self.values)

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def oldest(self) -> float:
        return self.values[0]

    def push(self, x: float) -> None:
        self.values.append(x)
