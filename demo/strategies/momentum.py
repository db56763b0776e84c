"""Momentum: buys a breakout out of the last four hours' range, and lets a trailing stop end it."""

from dataclasses import replace
from decimal import Decimal

from demo.candles import Candle
from demo.indicators import Window
from demo.strategies.base import Action, Decision, Holding, Intent, Plan, Side, Strategy, aged, close, stop_hit


class Momentum(Strategy):
    """Volatility breakout, long only: a close above the range on a candle of more than usual size."""

    code = "volatility_breakout"
    RANGE_MINUTES = 240
    BREAKOUT_ATR = 1.5
    STOP_ATR = 2.5
    TRAIL_AFTER_ATR = 1.5
    TRAIL_ATR = 3.0

    def __init__(self, *, seconds: int, price_step: Decimal) -> None:
        super().__init__(seconds=seconds, price_step=price_step)
        self.highs = Window(self.candles(self.RANGE_MINUTES, least=6))

    def on_candle(self, candle: Candle, holding: Holding | None) -> Decision:
        top = self.highs.highest if self.highs.full else None
        usual = self.atr.value
        high, low, price = float(candle.high), float(candle.low), float(candle.close)
        self.highs.push(high)
        self.atr.update(high=high, low=low, close=price)
        self.indicators = {"atr_14": self.atr.value, "range_high": top or 0.0, "candle_range": high - low}
        if holding is not None:
            return self._hold(candle, holding)
        if top is None or price <= top or high - low < self.BREAKOUT_ATR * usual:
            return Decision()
        strength = min(1.0, (high - low) / (4.0 * usual)) if usual else 1.0
        plan = self.plan_for(Side.LONG, candle.close)
        return Decision(intent=Intent(Action.OPEN, Side.LONG, candle.close, "breakout", plan, strength=strength))

    def plan_for(self, side: Side, price: Decimal) -> Plan:
        return Plan(stop=self.price(float(price) - side.sign * self.STOP_ATR * self.unit), best=price)

    def _hold(self, candle: Candle, holding: Holding) -> Decision:
        plan = aged(holding, candle)
        stopped_at = stop_hit(holding, candle)
        if stopped_at is not None:
            kind, reason = ("trailing_stop",) * 2 if plan.is_trailing else ("stop_market", "stop_loss")
            return Decision(plan, close(holding, stopped_at, reason, order_type=kind))
        if float(plan.best - holding.price) > self.TRAIL_AFTER_ATR * self.unit:
            stop = self.price(float(plan.best) - self.TRAIL_ATR * self.unit)
            plan = replace(plan, stop=max(plan.stop, stop), is_trailing=True)
        return Decision(plan)
