"""Each strategy makes the expected trades on hand-made series."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from demo_series import candle, from_closes

from demo.candles import Candle
from demo.indicators import Atr, Ema, Macd, Rsi, Window
from demo.strategies import LxAlgo, Momentum, ShortSeller, Strategy
from demo.strategies.base import Action, Decision, Holding, Plan, Side, aged, stop_hit, target_hit

D = Decimal
CENT = D("0.01")


def flat(count: int, price: str = "100") -> list[str]:
    return [price] * count


def ramp(start: int, step: str, count: int) -> list[str]:
    return [str(D(start) + D(step) * k) for k in range(1, count + 1)]


def trade(strategy: Strategy, candles: Sequence[Candle]) -> list[tuple[int, Action, Side, str]]:
    """Run a strategy as if every order filled at its price, and list what it did."""
    done: list[tuple[int, Action, Side, str]] = []
    holding: Holding | None = None
    for number, bar in enumerate(candles):
        decision = strategy.on_candle(bar, holding)
        if holding is not None and decision.plan is not None:
            holding = replace(holding, plan=decision.plan)
        intent = decision.intent
        if intent is None:
            continue
        done.append((number, intent.action, intent.side, intent.reason))
        if intent.action in (Action.OPEN, Action.FLIP):
            holding = Holding(intent.side, D(1), intent.price, intent.plan)
        elif intent.action is Action.CLOSE:
            holding = None
        else:
            holding = replace(holding, plan=intent.plan)
    return done


def hourly(strategy: type[Strategy]) -> Strategy:
    return strategy(seconds=3600, price_step=CENT)


def decide(strategy: Strategy, holding: Holding, bar: Candle) -> Decision:
    """One decision of a strategy that has seen quiet candles around 100 (ATR about 0.2)."""
    for quiet in from_closes(flat(60)):
        strategy.on_candle(quiet, None)
    return strategy.on_candle(bar, holding)


def test_shortseller_sells_the_cross_down_and_buys_back_the_cross_up():
    closes = flat(20) + ramp(100, "1", 10) + ramp(110, "-1", 15) + ramp(95, "1", 15)

    assert trade(hourly(ShortSeller), from_closes(closes)) == [
        (34, Action.OPEN, Side.SHORT, "ema_cross_down"),
        (49, Action.CLOSE, Side.SHORT, "signal_reversal"),
    ]


def test_shortseller_is_stopped_above_its_entry():
    closes = flat(20) + ramp(100, "1", 10) + ramp(110, "-1", 6) + ["112"]

    assert trade(hourly(ShortSeller), from_closes(closes))[-1] == (36, Action.CLOSE, Side.SHORT, "stop_loss")


def test_shortseller_holds_a_day_at_most():
    closes = flat(20) + ramp(100, "1", 10) + ramp(110, "-1", 60)

    assert trade(hourly(ShortSeller), from_closes(closes)) == [
        (34, Action.OPEN, Side.SHORT, "ema_cross_down"),
        (34 + 24, Action.CLOSE, Side.SHORT, "time_exit"),
    ]


def test_shortseller_never_buys_first():
    assert trade(hourly(ShortSeller), from_closes(flat(20) + ramp(100, "1", 50))) == []


def test_the_spans_are_minutes_with_a_floor():
    minute, hour, day = (ShortSeller(seconds=s, price_step=CENT) for s in (60, 3600, 86400))

    assert [(s.fast.span, s.slow.span) for s in (minute, hour, day)] == [(240, 600), (4, 10), (4, 10)]


def test_momentum_buys_the_breakout_and_trails_its_stop():
    closes = [*flat(20), "103", *ramp(103, "1", 10), "103"]

    assert trade(hourly(Momentum), from_closes(closes)) == [
        (20, Action.OPEN, Side.LONG, "breakout"),
        (31, Action.CLOSE, Side.LONG, "trailing_stop"),
    ]


def test_momentum_loses_at_its_first_stop_when_the_breakout_fails():
    closes = [*flat(20), "103", "102.5", "99"]

    assert trade(hourly(Momentum), from_closes(closes))[-1] == (22, Action.CLOSE, Side.LONG, "stop_loss")


def test_momentum_ignores_a_new_high_on_a_usual_candle():
    closes = flat(20) + ramp(100, "0.01", 20)

    assert trade(hourly(Momentum), from_closes(closes)) == []


def test_momentum_never_lowers_its_stop():
    plan = Plan(stop=D(104), best=D(110), is_trailing=True)

    decision = decide(
        hourly(Momentum), Holding(Side.LONG, D(1), D(100), plan), candle(99, "105", "105", "104.5", "105")
    )

    assert decision.intent is None
    assert decision.plan is not None
    assert decision.plan.stop >= D(104)


def lx_long(**changes: object) -> Holding:
    plan = Plan(stop=D(99), best=D(100), take_profit=D(104), **changes)  # type: ignore[arg-type]
    return Holding(Side.LONG, D(1), D(100), plan)


def test_lx_enters_when_five_rules_agree_either_way():
    up = trade(hourly(LxAlgo), from_closes(flat(60) + ramp(100, "0.5", 3)))
    down = trade(hourly(LxAlgo), from_closes(flat(60) + ramp(100, "-0.5", 3)))

    assert [(action, side) for _, action, side, _ in up[:1]] == [(Action.OPEN, Side.LONG)]
    assert [(action, side) for _, action, side, _ in down[:1]] == [(Action.OPEN, Side.SHORT)]
    assert up[0][3].endswith("_of_8_rules")


def test_lx_takes_half_at_half_the_way_and_moves_its_stop_to_the_entry():
    decision = decide(hourly(LxAlgo), lx_long(), candle(99, "100", "102.01", "100", "101"))

    intent = decision.intent
    assert intent is not None
    assert (intent.action, intent.price, intent.order_type) == (Action.REDUCE, D(102), "limit")
    assert intent.share == D("0.5")
    assert intent.plan is not None
    assert (intent.plan.stop, intent.plan.is_halved) == (D(100), True)


def test_lx_takes_half_only_once_and_the_rest_at_the_target():
    halved = lx_long(is_halved=True)

    assert decide(hourly(LxAlgo), halved, candle(99, "100", "102.01", "100", "101")).intent is None
    intent = decide(hourly(LxAlgo), halved, candle(99, "100", "104.01", "100", "103")).intent
    assert intent is not None
    assert (intent.action, intent.price, intent.reason) == (Action.CLOSE, D(104), "take_profit")


def test_lx_adds_once_when_it_is_ahead_and_the_rules_still_agree():
    bar = candle(99, "100", "101.5", "100", "101.5", "1000")

    intent = decide(hourly(LxAlgo), lx_long(), bar).intent
    again = decide(hourly(LxAlgo), lx_long(adds=1), bar).intent

    assert intent is not None
    assert (intent.action, intent.side, intent.share) == (Action.ADD, Side.LONG, D("0.5"))
    assert intent.plan is not None
    assert intent.plan.adds == 1
    assert again is None


def test_lx_turns_round_when_six_rules_speak_for_the_other_side():
    bar = candle(99, "100", "100", "99.2", "99.2", "1000")

    early = decide(hourly(LxAlgo), lx_long(bars=0), bar)
    intent = decide(hourly(LxAlgo), lx_long(bars=10), bar).intent

    assert early.intent is None
    assert intent is not None
    assert (intent.action, intent.side, intent.price) == (Action.FLIP, Side.SHORT, D("99.2"))
    assert intent.plan is not None
    assert intent.plan.stop > D("99.2") > (intent.plan.take_profit or 0)


def test_lx_closes_after_eight_hours_in_loss():
    bar = candle(99, "99.9", "99.95", "99.85", "99.9")

    assert decide(hourly(LxAlgo), lx_long(bars_in_loss=6), bar).intent is None
    intent = decide(hourly(LxAlgo), lx_long(bars_in_loss=7), bar).intent
    assert intent is not None
    assert intent.reason == "time_exit"


def test_a_stop_fills_at_the_stop_or_at_the_open_behind_a_gap():
    long = Holding(Side.LONG, D(1), D(100), Plan(stop=D(99), best=D(100)))
    short = Holding(Side.SHORT, D(1), D(100), Plan(stop=D(101), best=D(100)))

    assert stop_hit(long, candle(0, "100", "100", "98", "98")) == D(99)
    assert stop_hit(long, candle(0, "97", "98", "96", "98")) == D(97)
    assert stop_hit(long, candle(0, "100", "100", "99.01", "100")) is None
    assert stop_hit(short, candle(0, "100", "102", "100", "102")) == D(101)
    assert stop_hit(short, candle(0, "103", "104", "102", "104")) == D(103)


def test_a_target_must_be_traded_through():
    long = Holding(Side.LONG, D(1), D(100), Plan(stop=D(99), best=D(100)))
    short = replace(long, side=Side.SHORT)

    assert not target_hit(long, candle(0, "100", "102", "100", "101"), D(102))
    assert target_hit(long, candle(0, "100", "102.01", "100", "101"), D(102))
    assert target_hit(short, candle(0, "100", "100", "97.99", "99"), D(98))


def test_a_plan_ages_with_the_candles():
    holding = Holding(Side.SHORT, D(1), D(100), Plan(stop=D(101), best=D(100), bars=3, bars_in_loss=2))

    worse = aged(holding, candle(0, "100", "100.5", "99", "100.4"))
    better = aged(holding, candle(0, "100", "100.5", "99", "99.5"))

    assert (worse.best, worse.bars, worse.bars_in_loss) == (D(99), 4, 3)
    assert better.bars_in_loss == 0


def test_a_plan_survives_its_json():
    plan = Plan(stop=D("1.5"), best=D("2"), take_profit=D("3"), bars=4, adds=1, is_halved=True, is_trailing=True)

    assert Plan.from_json(plan.to_json()) == plan
    with pytest.raises(KeyError):
        Plan.from_json({})


def test_indicators_on_hand_worked_values():
    ema, atr, rsi, macd = Ema(3), Atr(2), Rsi(2), Macd()

    assert [ema.update(x) for x in (10.0, 12.0, 16.0)] == [10.0, 11.0, 13.5]
    ranges = [(11.0, 9.0, 10.0), (14.0, 12.0, 13.0), (13.0, 12.0, 12.0)]
    assert [atr.update(high=h, low=low, close=c) for h, low, c in ranges] == [2.0, 3.0, 2.0]
    assert [rsi.update(x) for x in (10.0, 12.0, 11.0)] == [50.0, 100.0, 50.0]
    assert macd.update(5.0) == 0.0


def test_a_window_keeps_the_last_values():
    window = Window(3)
    for x in (5.0, 1.0, 2.0, 3.0):
        window.push(x)

    assert (window.full, window.highest, window.lowest, window.mean, window.oldest) == (True, 3.0, 1.0, 2.0, 1.0)
