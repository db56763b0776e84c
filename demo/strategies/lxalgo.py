"""LX: enters when enough of eight rules agree, takes half the profit half-way, may add once, may turn round."""

from dataclasses import replace
from decimal import Decimal

from demo.candles import Candle
from demo.indicators import Ema, Macd, Rsi, Window
from demo.strategies.base import (
    Action,
    Decision,
    Holding,
    Intent,
    Plan,
    Side,
    Strategy,
    aged,
    close,
    stop_hit,
    target_hit,
)

Votes = dict[str, tuple[bool, bool]]

_HALF = Decimal("0.5")


class LxAlgo(Strategy):
    """Multi-indicator, both directions.

    The original's stop of 3 % and target of 10 % were made for coins that move 1 % in an hour; here one
    such per cent is the average true range of an hour, so that the same numbers suit any market.
    """

    code = "lx_multi_indicator"
    MIN_RULES = 5
    FLIP_RULES = 6
    STOP_ATR = 3.0
    TARGET_ATR = 10.0
    ADD_ATR = 2.0
    COOLDOWN_MINUTES = 8 * 60
    MAX_LOSS_MINUTES = 8 * 60
    MAX_HOLD_MINUTES = 72 * 60

    def __init__(self, *, seconds: int, price_step: Decimal) -> None:
        super().__init__(seconds=seconds, price_step=price_step)
        self.ema_200, self.ema_50 = Ema(200), Ema(50)
        self.rsi, self.macd = Rsi(), Macd()
        self.volumes, self.closes = Window(20), Window(20)
        self.highs, self.lows = Window(10), Window(10)
        self.cooldown = self.candles(self.COOLDOWN_MINUTES, least=4)
        self.max_bars_in_loss = self.candles(self.MAX_LOSS_MINUTES, least=8)
        self.max_bars = self.candles(self.MAX_HOLD_MINUTES, least=24)
        self.idle_bars = 0
        self.score = {Side.LONG: 0, Side.SHORT: 0}

    def on_candle(self, candle: Candle, holding: Holding | None) -> Decision:
        before = self.score
        self.score = self._score(candle)
        if holding is None:
            self.idle_bars += 1
            return Decision(intent=self._entry(candle, before) if self.idle_bars > self.cooldown else None)
        self.idle_bars = 0
        plan = aged(holding, candle)
        return Decision(plan, self._exit(candle, holding, plan) or self._change(candle, holding, plan))

    def plan_for(self, side: Side, price: Decimal) -> Plan:
        return Plan(
            stop=self.price(float(price) - side.sign * self.STOP_ATR * self.unit),
            best=price,
            take_profit=self.price(float(price) + side.sign * self.TARGET_ATR * self.unit),
        )

    def _score(self, candle: Candle) -> dict[Side, int]:
        """Count the rules that speak for each side, then take the candle into the indicators."""
        votes = self._votes(candle)
        score = {
            Side.LONG: sum(long for long, _ in votes.values()),
            Side.SHORT: sum(short for _, short in votes.values()),
        }
        self.indicators["rules_long"], self.indicators["rules_short"] = score[Side.LONG], score[Side.SHORT]
        return score

    def _votes(self, candle: Candle) -> Votes:
        """Each rule's vote for long and for short."""
        high, low, price, volume = (float(x) for x in (candle.high, candle.low, candle.close, candle.volume))
        trend_before = self.ema_50.value or price
        ema_200, ema_50 = self.ema_200.update(price), self.ema_50.update(price)
        rsi, histogram = self.rsi.update(price), self.macd.update(price)
        self.atr.update(high=high, low=low, close=price)
        self.indicators = {"rsi": rsi, "macd": histogram, "ema_200": ema_200, "atr_14": self.atr.value}
        votes: Votes = {
            "rule_1": (price > ema_200, price < ema_200),
            "rule_2": (50 < rsi < 75, 25 < rsi < 50),
            "rule_4": (histogram > 0, histogram < 0),
            "rule_6": (ema_50 > trend_before, ema_50 < trend_before),
        }
        if self.closes.full:
            busy = volume > 1.5 * self.volumes.mean
            votes["rule_3"] = (busy and price > self.closes.oldest, busy and price < self.closes.oldest)
            votes["rule_5"] = (price > self.closes.highest, price < self.closes.lowest)
            votes["rule_7"] = (price > self.closes.oldest, price < self.closes.oldest)
            votes["rule_8"] = (high > self.highs.highest, low < self.lows.lowest)
        for window, value in ((self.volumes, volume), (self.closes, price), (self.highs, high), (self.lows, low)):
            window.push(value)
        return votes

    def _entry(self, candle: Candle, before: dict[Side, int]) -> Intent | None:
        for side in (Side.LONG, Side.SHORT):
            if self.score[side] >= self.MIN_RULES > before[side]:
                return self._enter(Action.OPEN, side, candle)
        return None

    def _enter(self, action: Action, side: Side, candle: Candle) -> Intent:
        plan = self.plan_for(side, candle.close)
        strength = self.score[side] / 8
        return Intent(action, side, candle.close, f"{self.score[side]}_of_8_rules", plan, strength=strength)

    def _exit(self, candle: Candle, holding: Holding, plan: Plan) -> Intent | None:
        stopped_at = stop_hit(holding, candle)
        if stopped_at is not None:
            return close(holding, stopped_at, "stop_loss", order_type="stop_market")
        if plan.take_profit is not None and target_hit(holding, candle, plan.take_profit):
            return close(holding, plan.take_profit, "take_profit", order_type="limit")
        if plan.bars_in_loss >= self.max_bars_in_loss or plan.bars >= self.max_bars:
            return close(holding, candle.close, "time_exit")
        return None

    def _change(self, candle: Candle, holding: Holding, plan: Plan) -> Intent | None:
        """Turn round, take half, or add: the changes that leave a position open."""
        side, other = holding.side, holding.side.opposite
        if self.score[other] >= self.FLIP_RULES and plan.bars >= self.cooldown:
            return self._enter(Action.FLIP, other, candle)
        if plan.take_profit is None:
            return None
        half_way = self.price(float(holding.price + plan.take_profit) / 2)
        if not plan.is_halved and target_hit(holding, candle, half_way):
            kept = replace(plan, is_halved=True, stop=holding.price.quantize(self.price_step))
            return Intent(Action.REDUCE, side, half_way, "take_profit", kept, order_type="limit", share=_HALF)
        is_first = plan.adds == 0 and not plan.is_halved
        ahead = float(candle.close - holding.price) * side.sign
        if is_first and ahead > self.ADD_ATR * self.unit and self.score[side] >= self.MIN_RULES:
            return Intent(Action.ADD, side, candle.close, "scale_in", replace(plan, adds=1), share=_HALF)
        return None
