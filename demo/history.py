"""The demo's past: weeks of the bots' trading on the candles, told as `POST /batch` operations. Pure.

The last candle of every ring falls on the end, so every bot is flat there and the live replay takes over at
the ring's beginning. Candles keep their length; hours in which a market was closed are left out.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.candles import CandleSet, account_quote, traded
from demo.registry import DemoBot
from demo.replay import Series
from demo.strategies.base import Plan
from demo.trader import Trader

DEFAULT_DAYS = 75
BALANCE_EVERY = timedelta(hours=4)
_BETWEEN_OPERATIONS = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True)
class HistoryOp:
    """One operation of a bot's past; `op` and `data` are those of `POST /batch`, `at` when it happened."""

    bot_id: str
    at: datetime
    op: str
    data: dict[str, Any]

    def as_batch(self) -> dict[str, Any]:
        return {"op": self.op, "data": self.data}


class _Recorder:
    """A gateway that writes everything down, at the time of the candle that is being replayed."""

    def __init__(self, bot_id: str, start: datetime) -> None:
        self.bot_id = bot_id
        self.at = start
        self.ops: list[HistoryOp] = []

    def now(self) -> datetime:
        self.at += _BETWEEN_OPERATIONS
        return self.at

    def may_trade(self, *, opening: bool) -> bool:
        return True

    def send(self, op: str, data: dict[str, Any]) -> bool:
        self.ops.append(HistoryOp(self.bot_id, self.at, op, data))
        return True

    def keep_plan(self, symbol: str, plan: Plan, step: int) -> bool:
        """Nothing crashes in the past."""
        return True

    def drain(self) -> list[HistoryOp]:
        ops, self.ops = self.ops, []
        return ops


def history_start(end: datetime, days: int = DEFAULT_DAYS) -> datetime:
    """Return the time before which a history has no operation: its bots must be registered by then."""
    return end.astimezone(UTC) - timedelta(days=days + 1)


def history(
    candle_sets: Sequence[CandleSet], *, end: datetime, days: int = DEFAULT_DAYS, bots: Iterable[DemoBot]
) -> Iterator[HistoryOp]:
    """Yield all operations of the bots over `days` up to `end`, bot after bot, each in order of time.

    The same arguments give the same operations. Every bot is flat at the end. Raises ValueError for a
    naive `end`.
    """
    if end.tzinfo is None:
        raise ValueError("end has no offset")
    quote = account_quote(candle_sets)
    if quote is None:
        return
    series = [Series.of(candle_set) for candle_set in traded(candle_sets)]
    for bot in bots:
        yield from _bot_history(bot, quote, series, end.astimezone(UTC), days)


def _bot_history(bot: DemoBot, quote: str, series: Sequence[Series], end: datetime, days: int) -> Iterator[HistoryOp]:
    recorder = _Recorder(bot.bot_id, history_start(end, days))
    trader = Trader(bot=bot, quote=quote, series=series, gateway=recorder, run=f"past{end:%Y%m%d%H%M%S}")
    trader.order_intent = "report"
    trader.has_balance_per_fill = False
    trader.send_event("BOT_START", "Paper trading begins.", {"symbols": [s.symbol for s in series]})
    balance_at = recorder.at
    timelines = (_timeline(s, end, days) for s in series)
    for closed_at, symbol, step in heapq.merge(*timelines):
        while balance_at <= closed_at:
            recorder.at = max(recorder.at, balance_at)
            trader.send_balance()
            balance_at += BALANCE_EVERY
        recorder.at = max(recorder.at, closed_at)
        trader.on_step(symbol, step)
        yield from recorder.drain()
    trader.send_balance()
    yield from recorder.drain()


def _timeline(series: Series, end: datetime, days: int) -> Iterator[tuple[datetime, str, int]]:
    """Yield (closing time, symbol, step) of each candle, so that the last one closes at a bar's end before `end`."""
    candle = timedelta(seconds=series.seconds)
    grid = min(series.seconds, 3600)
    # A minute of room: the operations of the last candle lie behind its close.
    last = datetime.fromtimestamp((end.timestamp() - 60) // grid * grid, UTC)
    count = days * 86_400 // series.seconds
    lap = series.ring.lap_steps
    first_step = -count % lap
    for k in range(count):
        yield last - (count - 1 - k) * candle, series.symbol, first_step + k
