"""A bot's working day against a tiny HTTP server: trading, outages, refusals, halts, starting again."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from demo_fake_api import FakeApi
from demo_series import waves

from demo.bot import BotRunner, read_candles
from demo.candles import CandleSet, rfc3339
from demo.registry import LXALGO, MOMENTUM, SHORTSELLER, DemoBot
from demo.replay import Clock, series_infos
from tradingdb_client import Client, Pace

LOG = logging.getLogger("demo.test")
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class StepTime:
    """A clock that moves only when it is told to, or waited on; it stops after `stop_after` waits."""

    def __init__(self) -> None:
        self.moment = START
        self.stop_after: int | None = None

    def now(self) -> datetime:
        return self.moment

    def wait(self, seconds: float) -> bool:
        self.moment += timedelta(seconds=seconds)
        if self.stop_after is None:
            return False
        self.stop_after -= 1
        return self.stop_after < 0


class Desk:
    """One bot with its clock, client and server."""

    def __init__(self, api: FakeApi, folder: Path, candle_set: CandleSet, demo_bot: DemoBot) -> None:
        self.api = api
        self.time = StepTime()
        self.bot = demo_bot
        infos = series_infos([candle_set])
        self.clock = Clock("replay1", START, 0, 2.0, "USDT", infos)
        self.spool = folder / "spool.jsonl"
        api.candles[candle_set.symbol, candle_set.interval] = {
            row.split(",")[0]: row.split(",") for row in candle_set.csv().decode().splitlines()[1:]
        }
        self.client = self._client()
        self.runner = self._runner()
        api.at_exit.callback(lambda: self.client.close())

    def restart(self) -> None:
        """Start again as a new process would, after a kill."""
        self.client.close()
        self.time.moment += timedelta(milliseconds=5)
        self.client = self._client()
        self.runner = self._runner()
        self.runner.restore_from_api()

    def steps(self, count: int) -> None:
        """Let candles complete, one turn each."""
        for _ in range(count):
            self.time.moment += timedelta(seconds=2)
            self.runner.turn()

    def steps_until_held(self) -> None:
        for _ in range(400):
            if self.runner.trader.broker.held:
                return
            self.steps(1)
        raise AssertionError("no position in 400 steps")

    def _client(self) -> Client:
        pace = Pace(first=0.0, longest=0.0, clock=lambda: self.time.now().timestamp())
        return Client(self.api.url, self.bot.bot_id, retries=1, spool=self.spool, pace=pace, sleep=lambda _: None)

    def _runner(self) -> BotRunner:
        return BotRunner(demo_bot=self.bot, clock=self.clock, client=self.client, time=self.time, log=LOG)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as server:
        yield server


def open_desk(api: FakeApi, folder: Path, demo_bot: DemoBot = LXALGO, *, count: int = 600) -> Desk:
    desk = Desk(api, folder, waves(count=count), demo_bot)
    desk.runner.restore_from_api()
    return desk


def ledger_balance(api: FakeApi, bot_id: str) -> Fraction:
    realised = sum(Fraction(p["realized_pnl"]) for p in api.positions(bot_id))
    return 10_000 + realised - sum(Fraction(f["fee"]) for f in api.of("fill", bot_id))


def assert_agrees_with_the_ledger(desk: Desk) -> None:
    """The bot, its last balance and the fold of its fills say the same."""
    bot_id, broker = desk.bot.bot_id, desk.runner.trader.broker
    open_sizes = {
        p["symbol"]: Fraction(p["size"]) * (1 if p["side"] == "long" else -1)
        for p in desk.api.positions(bot_id)
        if p["status"] == "open"
    }
    assert {symbol: Fraction(held.size) for symbol, held in broker.held.items()} == open_sizes
    assert Fraction(broker.balance) == ledger_balance(desk.api, bot_id)
    assert desk.api.conflicts == []
    filled: dict[str, Fraction] = {}
    for fill in desk.api.of("fill", bot_id):
        filled[fill["order_id"]] = filled.get(fill["order_id"], Fraction(0)) + Fraction(fill["quantity"])
    orders = {o["order_id"]: o for o in desk.api.of("order", bot_id) if o["status"] == "filled"}
    assert filled == {order_id: Fraction(order["quantity"]) for order_id, order in orders.items()}


@pytest.mark.parametrize("demo_bot", [SHORTSELLER, MOMENTUM, LXALGO], ids=lambda bot: bot.bot_id)
def test_a_bot_trades_through_the_api_and_agrees_with_the_ledger(api, tmp_path, demo_bot):
    desk = open_desk(api, tmp_path, demo_bot)

    desk.steps(340)

    closed = [p for p in api.positions(demo_bot.bot_id) if p["status"] == "closed"]
    orders = api.of("order")
    assert closed
    assert_agrees_with_the_ledger(desk)
    assert {order["intent"] for order in orders} == {"request"}
    submitted = [u["order_id"] for u in api.of("order_update") if u["status"] == "submitted"]
    assert submitted == [order["order_id"] for order in orders]
    assert len(api.of("balance")) >= len(api.of("fill"))
    assert {h["bot"] for h in api.heartbeats} == {demo_bot.bot_id}
    assert all(Decimal(h["equity"]) > 9_000 for h in api.heartbeats)
    assert len(api.reports) == 1 + 340 * 2 // 60
    if demo_bot is SHORTSELLER:
        assert {p["side"] for p in closed} == {"short"}


def test_reported_positions_are_what_the_ledger_has(api, tmp_path):
    desk = open_desk(api, tmp_path)
    desk.steps_until_held()
    desk.runner.next_report = desk.time.now()

    desk.runner.turn()

    (mine,) = [p for p in api.positions("lxalgo_001") if p["status"] == "open"]
    (reported,) = api.reports[-1]["positions"]
    assert {name: reported[name] for name in ("symbol", "side")} == {name: mine[name] for name in ("symbol", "side")}
    assert Decimal(reported["size"]) == Decimal(mine["size"])
    assert Decimal(reported["avg_entry_price"]) == Decimal(mine["avg_entry_price"])


def test_without_the_api_nothing_is_ordered_and_facts_wait(api, tmp_path):
    desk = open_desk(api, tmp_path)
    desk.steps(100)
    orders, held = len(api.of("order")), dict(desk.runner.trader.broker.held)

    api.is_down = True
    desk.time.moment += timedelta(seconds=20)
    desk.steps(100)

    assert len(desk.client.spool) > 0
    assert dict(desk.runner.trader.broker.held) == held
    api.is_down = False
    desk.steps(120)
    assert len(desk.client.spool) == 0
    assert len(api.of("order")) > orders
    assert_agrees_with_the_ledger(desk)


def test_fills_of_an_accepted_order_survive_an_outage_and_a_kill(api, tmp_path):
    desk = open_desk(api, tmp_path)
    send = desk.runner.gateway.send

    def goes_down_after_the_order(op, data):
        done = send(op, data)
        api.is_down = api.is_down or op == "order"
        return done

    desk.runner.gateway.send = goes_down_after_the_order
    desk.steps_until_held()
    held = {symbol: held.size for symbol, held in desk.runner.trader.broker.held.items()}
    assert api.of("fill") == []
    api.is_down = False
    desk.restart()

    assert {symbol: held.size for symbol, held in desk.runner.trader.broker.held.items()} == held
    assert_agrees_with_the_ledger(desk)


def test_a_bot_that_starts_again_carries_on_with_its_position_and_plan(api, tmp_path):
    desk = open_desk(api, tmp_path)
    desk.steps_until_held()
    desk.steps(2)
    before = desk.runner.trader
    plan = before.desks["WAVEUSDT"].plan

    desk.restart()

    after = desk.runner.trader
    assert after.broker.held == before.broker.held
    assert after.broker.balance == before.broker.balance
    assert plan is not None
    restored = after.desks["WAVEUSDT"].plan
    assert restored is not None
    assert (restored.stop, restored.take_profit, restored.bars) == (plan.stop, plan.take_profit, plan.bars)
    desk.steps(200)
    assert_agrees_with_the_ledger(desk)


def test_ids_never_collide_after_a_start(api, tmp_path):
    desk = open_desk(api, tmp_path)
    for _ in range(4):
        desk.steps(80)
        desk.restart()

    assert api.conflicts == []
    assert api.replays == 0
    assert len({o["order_id"].split("-")[1] for o in api.of("order")}) > 1
    assert_agrees_with_the_ledger(desk)


def test_an_order_nobody_works_on_is_cancelled_at_the_start(api, tmp_path):
    desk = open_desk(api, tmp_path)
    api.facts["order", "lxalgo_001", "left"] = {"order_id": "left", "status": "submitted", "quantity": "1"}

    desk.restart()

    assert api.facts["order", "lxalgo_001", "left"]["status"] == "cancelled"


def test_a_refused_order_is_a_normal_thing(api, tmp_path):
    desk = open_desk(api, tmp_path)
    api.refuses = True

    desk.steps(150)

    refused = api.of("order")
    assert refused
    assert {order["status"] for order in refused} == {"rejected"}
    # It rests after a refusal instead of asking at every candle.
    assert len(refused) <= 150 / 30
    assert api.of("fill") == []
    assert desk.runner.trader.broker.held == {}
    api.refuses = False
    desk.steps(200)
    assert_agrees_with_the_ledger(desk)
    assert api.of("fill")


def test_a_halted_bot_orders_nothing_and_acknowledges_the_halt(api, tmp_path):
    desk = open_desk(api, tmp_path)
    api.state, api.halt = "HALTED", {"id": 7, "scope": "all", "reason": "drill", "since": "2026-11-20T12:00:00Z"}

    desk.steps(150)

    assert api.of("order") == []
    assert api.heartbeats[-1]["acknowledged_halt"] == 7
    api.state, api.halt = "ACTIVE", None
    desk.time.moment += timedelta(seconds=20)
    desk.steps(200)
    assert api.of("order")
    assert "acknowledged_halt" not in api.heartbeats[-1]


def test_under_reducing_only_exits_are_ordered(api, tmp_path):
    desk = open_desk(api, tmp_path)
    desk.steps_until_held()
    entries = len(api.of("order"))
    api.state = "REDUCING"
    desk.time.moment += timedelta(seconds=20)

    desk.steps(200)

    later = api.of("order")[entries:]
    assert later
    assert {order["reduce_only"] for order in later} == {True}
    assert desk.runner.trader.broker.held == {}


def test_a_bot_is_flat_before_the_replay_begins_again(api, tmp_path):
    desk = open_desk(api, tmp_path, SHORTSELLER, count=80)

    desk.steps(60 * 3)

    ends = [o["order_metadata"] for o in api.of("order") if o["order_metadata"].get("exit_reason") == "market_close"]
    assert ends
    assert {end["candle_time"] for end in ends} == {rfc3339(waves(count=80).candles[-1].timestamp)}
    assert_agrees_with_the_ledger(desk)


def test_a_position_that_missed_the_wrap_is_closed_at_the_last_candles_close(api, tmp_path):
    desk = open_desk(api, tmp_path, count=100)
    desk.steps_until_held()
    orders = len(api.of("order"))
    desk.time.moment = desk.clock.time_of(75 + 3)

    desk.restart()
    desk.steps(1)

    order = api.of("order")[orders]
    fill = next(f for f in api.of("fill") if f["order_id"] == order["order_id"])
    assert order["order_metadata"]["exit_reason"] == "market_close"
    assert Decimal(fill["price"]) == waves(count=100).candles[-1].close
    assert_agrees_with_the_ledger(desk)


def test_a_position_in_a_symbol_that_is_no_longer_replayed_is_closed_at_its_entry_price(api, tmp_path):
    desk = open_desk(api, tmp_path)
    desk.steps_until_held()
    entry = desk.runner.trader.broker.held["WAVEUSDT"].average_price
    desk.client.close()
    other = Desk(api, tmp_path, waves("OTHERUSDT"), LXALGO)
    other.time.moment = desk.time.moment + timedelta(seconds=5)

    other.runner.restore_from_api()
    other.steps(2)

    last = api.of("order")[-1]
    assert (last["symbol"], last["order_metadata"]["exit_reason"]) == ("WAVEUSDT", "market_close")
    assert {p["status"] for p in api.positions("lxalgo_001")} == {"closed"}
    assert abs(Decimal(api.of("fill")[-1]["price"]) - entry) < Decimal("0.02")
    assert_agrees_with_the_ledger(other)


def test_a_refused_fact_sends_the_bot_back_to_the_ledger(api, tmp_path):
    desk = open_desk(api, tmp_path)
    desk.steps_until_held()
    true_size = desk.runner.trader.broker.size("WAVEUSDT")
    desk.runner.trader.broker.held["WAVEUSDT"].size += 1

    fill = {**api.of("fill")[-1], "price": "1"}
    desk.runner.gateway.send("fill", fill)
    desk.runner.turn()

    assert len(api.conflicts) == 1
    assert desk.runner.trader.broker.size("WAVEUSDT") == true_size


def test_a_run_begins_and_ends_with_an_event(api, tmp_path):
    desk = Desk(api, tmp_path, waves(), LXALGO)
    desk.time.stop_after = 5

    desk.runner.run()

    assert [event["event_type"] for event in api.of("event")] == ["BOT_START", "BOT_STOP"]
    assert api.of("balance")


def test_a_bot_waits_for_the_api_and_the_candles(api, tmp_path):
    desk = Desk(api, tmp_path, waves(), LXALGO)
    rows = api.candles.pop(("WAVEUSDT", "1h"))
    wait, waits = desk.time.wait, []

    def candles_come_later(seconds):
        waits.append(seconds)
        api.is_down = len(waits) < 2
        if len(waits) == 3:
            api.candles["WAVEUSDT", "1h"] = rows
            desk.time.stop_after = 2
        return wait(seconds)

    desk.time.wait = candles_come_later
    api.is_down = True
    desk.runner.run()

    assert waits[:3] == [1.0, 1.0, 1.0]
    assert [event["event_type"] for event in api.of("event")] == ["BOT_START", "BOT_STOP"]


def test_candles_are_read_in_pages(api, tmp_path):
    candle_set = waves(count=2300)
    desk = Desk(api, tmp_path, candle_set, LXALGO)

    candles = read_candles(desk.client, desk.clock.series[0])

    assert tuple(candles) == candle_set.candles
    assert api.calls["GET candles"] == 3
