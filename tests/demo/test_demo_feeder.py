"""The feeder posts candles and prices at the pace of the clock."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from demo_fake_api import FakeApi
from demo_series import waves

from demo.candles import CandleSet
from demo.feeder import Feeder
from demo.replay import Clock, series_infos, tick_price
from tradingdb_client import Client

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
SETS = [waves(), CandleSet("WAVEUSDT", "4h", waves().candles), waves("ETHBTC", count=100)]


class StepTime:
    """A clock that moves when it is waited on, and stops at a time."""

    def __init__(self, stop_at: timedelta = timedelta.max) -> None:
        self.moment = START
        self.stop_after = stop_at

    def now(self) -> datetime:
        return self.moment

    def wait(self, seconds: float) -> bool:
        self.moment += timedelta(seconds=seconds)
        return self.moment - START >= self.stop_after


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as server:
        yield server


def feeder(api: FakeApi, time: StepTime, *, step_seconds: float = 2.0) -> Feeder:
    client = api.at_exit.enter_context(Client(api.url, "shortseller_001", retries=0, sleep=lambda _: None))
    clock = Clock("r", START, 0, step_seconds, "USDT", series_infos(SETS))
    return Feeder(sets=SETS, clock=clock, client=client, time=time, log=logging.getLogger("demo.test"))


def test_all_candles_are_posted_once_and_then_each_as_it_completes(api):
    time = StepTime(timedelta(seconds=9))

    feeder(api, time).run()

    assert {key: len(rows) for key, rows in api.candles.items()} == {
        ("WAVEUSDT", "1h"): 400,
        ("WAVEUSDT", "4h"): 400,
        ("ETHBTC", "1h"): 100,
    }
    # Three files, and after each of four steps one candle of either symbol.
    assert api.calls["POST candles"] == 3 + 4 * 2


def test_each_candle_gives_its_four_prices_in_order(api):
    time = StepTime(timedelta(seconds=4))

    feeder(api, time).run()

    first = waves().candles[100], waves().candles[101]
    sent = [Decimal(p["price"]) for p in api.prices if p["symbol"] == "WAVEUSDT"]
    assert sent == [tick_price(bar, tick) for bar in first for tick in range(4)]
    assert {p["symbol"] for p in api.prices} == {"WAVEUSDT", "ETHBTC"}


def test_at_a_slow_pace_a_price_is_repeated_before_it_is_forgotten(api):
    time = StepTime(timedelta(seconds=50))

    feeder(api, time, step_seconds=3600).run()

    sent = [p for p in api.prices if p["symbol"] == "WAVEUSDT"]
    assert len(sent) == 4
    assert {p["price"] for p in sent} == {sent[0]["price"]}


def test_an_outage_costs_prices_but_not_the_feeder(api):
    time = StepTime()
    market = feeder(api, time)
    market.turn()
    api.is_down = True
    for _ in range(20):
        time.wait(market.turn())
    before = len(api.prices)

    api.is_down = False
    time.wait(market.turn())

    assert len(api.prices) == before + 2


def test_the_upload_waits_for_the_api(api):
    time = StepTime(timedelta(seconds=5))
    api.is_down = True
    wait = time.wait

    def comes_back(seconds: float) -> bool:
        api.is_down = time.moment - START < timedelta(seconds=2)
        return wait(seconds)

    time.wait = comes_back  # type: ignore[method-assign]
    feeder(api, time).run()

    assert len(api.candles) == 3
    assert api.prices
