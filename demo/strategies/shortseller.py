"""Shortseller: sells when the fast average crosses below the slow one, and buys back when it returns."""

from decimal import Decimal

from demo.candles import Candle
from demo.indicators import Ema
from demo.strategies.base import Action, Decision, Holding, Intent, Plan, Side, Strategy, aged, close, stop_hit


class ShortSeller(Strategy):
    """EMA cross, short only.

    The spans 240 and 600 are minutes: the original's candles of one minute, fewer on longer candles.
    """

    code = "ema_crossover"
    FAST_MINUTES = 240
    SLOW_MINUTES = 600
    MAX_HOLD_MINUTES = 24 * 60
    STOP_ATR = 3.0

    def __init__(self, *, seconds: int, price_step: Decimal) -> None:
        super().__init__(seconds=seconds, price_step=price_step)
        self.fast = Ema(self.candles(self.FAST_MINUTES, least=4))
        self.slow = Ema(self.candles(self.SLOW_MINUTES, least=10))
        self.max_bars = self.candles(self.MAX_HOLD_MINUTES, least=6)
        self.was_above = False

    def on_candle(self, candle: Candle, holding: Holding | None) -> Decision:
        price = float(candle.close)
        fast, slow = self.fast.update(price), self.slow.update(price)
        self.atr.update(high=float(candle.high), low=float(candle.low), close=price)
        was_above, self.was_above = self.was_above, fast > slow
        self.indicators = {"ema_240": fast, "ema_600": slow, "regime": "INACTIVE" if fast > slow else "ACTIVE"}
        if holding is None:
            return Decision(intent=self._entry(candle) if was_above and fast < slow else None)
        plan = aged(holding, candle)
        return Decision(plan, self._exit(candle, holding, plan))

    def plan_for(self, side: Side, price: Decimal) -> Plan:
        return Plan(stop=self.price(float(price) - side.sign * self.STOP_ATR * self.unit), best=price)

    def _entry(self, candle: Candle) -> Intent:
        plan = self.plan_for(Side.SHORT, candle.close)
        return Intent(Action.OPEN, Side.SHORT, candle.close, "ema_cross_down", plan)

    def _exit(self, candle: Candle, holding: Holding, plan: Plan) -> Intent | None:
        stopped_at = stop_hit(holding, candle)
        if stopped_at is not None:
            return close(holding, stopped_at, "stop_loss", order_type="stop_market")
        if self.was_above:
            return close(holding, candle.close, "signal_reversal")
        if plan.bars >= self.max_bars:
            return close(holding, candle.close, "time_exit")
        return None
