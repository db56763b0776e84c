"""The replay clock: pure arithmetic from wall time to the candle that is "now".

One step is one candle of every symbol. Each symbol runs on a ring of its own: its first candles only
warm the indicators; after its last candle it begins again behind them, which starts a new lap.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from demo.candles import Candle, CandleSet, price_step, replayed, rfc3339, traded

EXCHANGE = "replay"
MAX_WARM_UP = 240
DEFAULT_STEP_SECONDS = 2.0
# Below this a bot cannot send its calls between two candles.
MIN_STEP_SECONDS = 0.25
TICKS_PER_STEP = 4


@dataclass(frozen=True, slots=True)
class Ring:
    """How steps fall on the candles of one symbol: `count` candles, of which the first `first` only warm up."""

    count: int
    first: int

    @classmethod
    def of(cls, count: int) -> "Ring":
        return cls(count, min(MAX_WARM_UP, count // 4))

    @property
    def lap_steps(self) -> int:
        return self.count - self.first

    def index(self, step: int) -> int:
        """The candle of a step."""
        return self.first + step % self.lap_steps

    def lap(self, step: int) -> int:
        return step // self.lap_steps

    def is_last(self, step: int) -> bool:
        """Whether the replay begins again after this step."""
        return self.index(step) == self.count - 1


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle as it is replayed. `lap` names the pass through the ring, `day` counts days of replayed time."""

    candle: Candle
    lap: int
    day: int
    is_last: bool


class Series:
    """The candles of one symbol on their ring."""

    def __init__(self, symbol: str, seconds: int, candles: Sequence[Candle]) -> None:
        self.symbol = symbol
        self.seconds = seconds
        self.candles = candles
        self.ring = Ring.of(len(candles))
        self.price_step = price_step(candle.close for candle in candles)

    @classmethod
    def of(cls, candle_set: CandleSet) -> "Series":
        return cls(candle_set.symbol, candle_set.seconds, candle_set.candles)

    def bar(self, step: int) -> Bar:
        ring = self.ring
        day = step * self.seconds // 86_400
        return Bar(self.candles[ring.index(step)], ring.lap(step), day, ring.is_last(step))

    def before(self, step: int) -> Sequence[Candle]:
        """The candles that warm the indicators for a step: those before it in its lap, as many as are needed."""
        index = self.ring.index(step)
        return self.candles[max(0, index - MAX_WARM_UP) : index]


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What a process must know of a symbol to read its candles from the API."""

    symbol: str
    interval: str
    seconds: int
    count: int
    first_timestamp: str
    last_timestamp: str
    is_traded: bool


@dataclass(frozen=True)
class Clock:
    """When the replay started and how fast it runs. `replay_id` changes when the candles do."""

    replay_id: str
    start: datetime
    start_step: int
    step_seconds: float
    quote: str | None
    series: tuple[SeriesInfo, ...]

    def step_at(self, now: datetime) -> int:
        """The step that is forming; it is complete when the next one begins."""
        return self.start_step + max(0, int((now - self.start).total_seconds() / self.step_seconds))

    def time_of(self, step: int) -> datetime:
        """When a step begins."""
        return self.start + timedelta(seconds=(step - self.start_step) * self.step_seconds)

    def tick_at(self, now: datetime) -> int:
        """The quarter of the forming step, 0 to 3."""
        passed = (now - self.time_of(self.step_at(now))).total_seconds() / self.step_seconds
        return min(TICKS_PER_STEP - 1, max(0, int(passed * TICKS_PER_STEP)))

    def to_json(self) -> str:
        data = {
            "replay_id": self.replay_id,
            "start": self.start.isoformat(),
            "start_step": self.start_step,
            "step_seconds": self.step_seconds,
            "quote": self.quote,
            "series": [{name: getattr(info, name) for name in SeriesInfo.__slots__} for info in self.series],
        }
        return json.dumps(data, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Clock":
        data = json.loads(text)
        return cls(
            replay_id=data["replay_id"],
            start=datetime.fromisoformat(data["start"]),
            start_step=data["start_step"],
            step_seconds=data["step_seconds"],
            quote=data["quote"],
            series=tuple(SeriesInfo(**info) for info in data["series"]),
        )


def tick_price(candle: Candle, tick: int) -> Decimal:
    """Return one of a candle's four prices in the order they most likely came.

    A rising candle is taken to have dipped first, a falling one to have risen first.
    """
    rising = candle.close >= candle.open
    low, high = (candle.low, candle.high) if rising else (candle.high, candle.low)
    return (candle.open, low, high, candle.close)[tick]


def step_seconds(sets: Sequence[CandleSet], speed: float | None) -> float:
    """Return the length of a step: the shortest interval divided by the speed, two seconds by default.

    Raises ValueError for a speed that is not positive.
    """
    if speed is None:
        return DEFAULT_STEP_SECONDS
    if not speed > 0:
        raise ValueError(f"SPEED must be positive, not {speed}")
    shortest = min(candle_set.seconds for candle_set in sets)
    return max(MIN_STEP_SECONDS, shortest / speed)


def series_infos(sets: Sequence[CandleSet]) -> tuple[SeriesInfo, ...]:
    """Describe the replayed sets for the other processes."""
    in_account_currency = {candle_set.symbol for candle_set in traded(sets)}
    return tuple(
        SeriesInfo(
            symbol=candle_set.symbol,
            interval=candle_set.interval,
            seconds=candle_set.seconds,
            count=len(candle_set.candles),
            first_timestamp=rfc3339(candle_set.candles[0].timestamp),
            last_timestamp=rfc3339(candle_set.candles[-1].timestamp),
            is_traded=candle_set.symbol in in_account_currency,
        )
        for candle_set in replayed(sets)
    )
