"""The replay clock and its rings."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from demo_series import candle, waves

from demo.candles import CandleSet
from demo.replay import Clock, Ring, Series, series_infos, step_seconds, tick_price

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def clock(**changes: object) -> Clock:
    values = {"replay_id": "r", "start": NOON, "start_step": 10, "step_seconds": 2.0, "quote": "USDT", "series": ()}
    return Clock(**(values | changes))  # type: ignore[arg-type]


def test_a_step_lasts_its_seconds_and_has_four_ticks():
    replay = clock()

    def at(seconds: float) -> tuple[int, int]:
        now = NOON + timedelta(seconds=seconds)
        return replay.step_at(now), replay.tick_at(now)

    assert [at(s) for s in (0, 0.5, 1.0, 1.999)] == [(10, 0), (10, 1), (10, 2), (10, 3)]
    assert [at(s) for s in (2.0, 3.5, 100)] == [(11, 0), (11, 3), (60, 0)]
    assert at(-5) == (10, 0)
    assert replay.time_of(60) == NOON + timedelta(seconds=100)


def test_the_clock_survives_its_file():
    replay = clock(series=series_infos([waves(), waves("ETHBTC")]))

    again = Clock.from_json(replay.to_json())

    assert again == replay
    assert [(info.symbol, info.is_traded) for info in again.series] == [("ETHBTC", False), ("WAVEUSDT", True)]


def test_a_ring_warms_up_once_and_begins_again_behind_its_warm_up():
    ring = Ring.of(12)

    assert (ring.count, ring.first, ring.lap_steps) == (12, 3, 9)
    assert [ring.index(step) for step in (0, 8, 9, 17, 18)] == [3, 11, 3, 11, 3]
    assert [ring.lap(step) for step in (0, 8, 9, 18)] == [0, 0, 1, 2]
    assert [step for step in range(20) if ring.is_last(step)] == [8, 17]
    assert Ring.of(10_999).first == 240


def test_a_series_gives_the_bar_of_a_step_and_the_candles_before_it():
    series = Series.of(waves(count=100))

    bar = series.bar(75 + 24)

    assert series.ring == Ring(100, 25)
    assert (bar.candle, bar.lap, bar.is_last, bar.day) == (series.candles[49], 1, False, 4)
    assert series.bar(74).is_last
    assert list(series.before(75 + 24)) == list(series.candles[:49])


def test_before_gives_no_more_than_the_warm_up():
    series = Series.of(waves(count=1000))

    assert list(series.before(300)) == list(series.candles[300:540])


@pytest.mark.parametrize(
    ("open_", "close", "prices"),
    [("10", "11", ["10", "8", "13", "11"]), ("10", "9", ["10", "13", "8", "9"]), ("10", "10", ["10", "8", "13", "10"])],
)
def test_a_rising_candle_dips_first_and_a_falling_one_rises_first(open_, close, prices):
    bar = candle(0, open_, "13", "8", close)

    assert [tick_price(bar, tick) for tick in range(4)] == [Decimal(price) for price in prices]


def test_speed_makes_the_step():
    sets = [waves(), CandleSet("ETHUSDT", "5m", waves().candles)]

    assert step_seconds(sets, None) == 2.0
    assert step_seconds(sets, 1) == 300
    assert step_seconds(sets, 150) == 2.0
    assert step_seconds(sets, 10**9) == 0.25
    with pytest.raises(ValueError, match="SPEED must be positive"):
        step_seconds(sets, 0)
