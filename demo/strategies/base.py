"""What every strategy shares: the words of a decision, the exit plan of a position, stops."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from demo.candles import Candle, plain
from demo.indicators import Atr


class Side(StrEnum):
    """Direction of a position."""

    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        return 1 if self is Side.LONG else -1

    @property
    def opposite(self) -> "Side":
        return Side.SHORT if self is Side.LONG else Side.LONG


class Action(StrEnum):
    """What an order does to a position."""

    OPEN = "open"
    ADD = "add"
    REDUCE = "reduce"
    CLOSE = "close"
    FLIP = "flip"


OPENING = (Action.OPEN, Action.ADD, Action.FLIP)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a position is meant to end. `best` is the best price since it was opened, `bars` its age in candles."""

    stop: Decimal
    best: Decimal
    take_profit: Decimal | None = None
    bars: int = 0
    bars_in_loss: int = 0
    adds: int = 0
    is_halved: bool = False
    is_trailing: bool = False

    def to_json(self) -> dict[str, Any]:
        """The plan as `position_metadata`, so that a bot that starts again finds it."""
        return {
            "stop": plain(self.stop),
            "best": plain(self.best),
            "take_profit": None if self.take_profit is None else plain(self.take_profit),
            "bars": self.bars,
            "bars_in_loss": self.bars_in_loss,
            "adds": self.adds,
            "is_halved": self.is_halved,
            "is_trailing": self.is_trailing,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Plan":
        """Read a plan back. Raises KeyError or ArithmeticError when it is not one of ours."""
        target = data["take_profit"]
        return cls(
            stop=Decimal(data["stop"]),
            best=Decimal(data["best"]),
            take_profit=None if target is None else Decimal(target),
            bars=int(data["bars"]),
            bars_in_loss=int(data["bars_in_loss"]),
            adds=int(data["adds"]),
            is_halved=bool(data["is_halved"]),
            is_trailing=bool(data["is_trailing"]),
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """The position a strategy decides about: size is positive, `price` its average entry."""

    side: Side
    size: Decimal
    price: Decimal
    plan: Plan


@dataclass(frozen=True, slots=True)
class Intent:
    """An order a strategy wants now.

    side: of the position that is opened, added to or reduced; for a flip, of the new one.
    price: the candle's price it fills at. plan: what holds once it is filled, None when flat.
    share: of the usual order value for OPEN, ADD and FLIP; of the held size for REDUCE.
    """

    action: Action
    side: Side
    price: Decimal
    reason: str
    plan: Plan | None = None
    order_type: str = "market"
    share: Decimal = Decimal(1)
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What a strategy makes of one candle: the plan as it stands now, and an order or none."""

    plan: Plan | None = None
    intent: Intent | None = None


class Strategy(ABC):
    """Decides for one symbol, candle by candle. Interval and price step are the symbol's."""

    code: ClassVar[str]

    def __init__(self, *, seconds: int, price_step: Decimal) -> None:
        self.seconds = seconds
        self.price_step = price_step
        self.indicators: dict[str, float | str] = {}
        self.atr = Atr()
        # A move grows with the square root of time.
        self._hour_scale: float = max(1.0, 3600 / seconds) ** 0.5

    @abstractmethod
    def on_candle(self, candle: Candle, holding: Holding | None) -> Decision:
        """Take one complete candle and decide."""

    @abstractmethod
    def plan_for(self, side: Side, price: Decimal) -> Plan:
        """Return the exit plan of a position entered at a price."""

    @property
    def unit(self) -> float:
        """What stops and targets are measured in: the average true range of an hour, or of a longer candle."""
        return max(self.atr.value * self._hour_scale, float(self.price_step))

    def candles(self, minutes: int, *, least: int) -> int:
        """How many candles a time is, and never fewer than `least`."""
        return max(least, minutes * 60 // self.seconds)

    def price(self, value: float) -> Decimal:
        """Return a computed price on the symbol's price step, at least one step."""
        return max(self.price_step, Decimal(value).quantize(self.price_step))


def aged(holding: Holding, candle: Candle) -> Plan:
    """Return the plan one candle later: older, with the best price, counting the candles in loss."""
    plan = holding.plan
    best = max(plan.best, candle.high) if holding.side is Side.LONG else min(plan.best, candle.low)
    in_loss = (candle.close - holding.price) * holding.side.sign < 0
    return replace(plan, best=best, bars=plan.bars + 1, bars_in_loss=plan.bars_in_loss + 1 if in_loss else 0)


def stop_hit(holding: Holding, candle: Candle) -> Decimal | None:
    """Return the price a stop fills at when the candle reached it: the stop, or the open behind a gap."""
    stop = holding.plan.stop
    if holding.side is Side.LONG:
        return min(stop, candle.open) if candle.low <= stop else None
    return max(stop, candle.open) if candle.high >= stop else None


def target_hit(holding: Holding, candle: Candle, target: Decimal) -> bool:
    """Whether the candle traded through a profit target."""
    if holding.side is Side.LONG:
        return candle.high > target
    return candle.low < target


def close(holding: Holding, price: Decimal, reason: str, *, order_type: str = "market") -> Intent:
    """Return the intent that ends a position."""
    return Intent(Action.CLOSE, holding.side, price, reason, order_type=order_type)
