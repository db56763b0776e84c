"""A view: contiguous messages, each change once, no faster than the pace."""

import json
from typing import Any

import pytest

from bots.live.outlet import Outlet
from bots.live.state import Changes, LiveState
from bots.live.view import Filter, Pace, View
from tests.live.live_rows import bot_row, closed, halt, loaded, news, position, position_row, price


class Seen:
    """A socket that takes everything at once, and the view it watches."""

    def __init__(self, state: LiveState, filter: Filter = Filter(), rate: int = 1000) -> None:  # noqa: B008 (frozen)
        self.state = state
        self.messages: list[dict[str, Any]] = []
        self.view = View(
            state, filter, rate=rate, about=lambda: {"sources": {"redis": True}, "as_of": "2026-11-20T10:00:00Z"}
        )
        self.view.outlets.add(Outlet(self._send, newest=self.view.snapshot))

    async def _send(self, event: dict[str, Any]) -> None:
        self.messages.append(json.loads(event["text"]))

    def wait(self) -> None:
        """Let the pace's time pass."""
        assert self.view.flush() is not None
        self.view._pace = Pace(1000)
        assert self.view.flush() is None

    def hear(self, *updates: Any) -> list[dict[str, Any]]:
        """Apply updates, flush, and return what was sent."""
        return self.take(self.state.apply(updates))

    def take(self, changes: Changes) -> list[dict[str, Any]]:
        before = len(self.messages)
        self.view.take(changes)
        self.view.flush()
        return self.messages[before:]


@pytest.fixture
def state() -> LiveState:
    made = LiveState()
    rows = [position_row(), position_row("p2", bot_id="beta", symbol="ETHUSDT")]
    made.reconcile(loaded(*rows, bots=[bot_row(), bot_row("beta")]), since=0)
    return made


def most_in_a_second(moments: list[float]) -> int:
    return max(sum(1 for other in moments if moment <= other < moment + 1) for moment in moments)


@pytest.mark.parametrize("step", [0.0005, 0.005, 0.017, 0.0199, 0.05])
@pytest.mark.parametrize("rate", [1, 5, 60])
def test_pace_holds_the_rate_in_every_second(rate: int, step: float) -> None:
    pace, sent = Pace(rate), []
    for number in range(int(5 / step)):
        now = 100 + number * step
        if pace.wait(now) == 0:
            pace.spend()
            sent.append(now)

    assert most_in_a_second(sent) <= rate
    # And it is used: a stream of changes gets nearly all of it.
    assert len(sent) >= min(len(range(int(5 / step))), 5 * rate * 0.8)


def test_pace_lets_the_first_after_a_quiet_moment_go_at_once() -> None:
    pace = Pace(60)
    for _ in range(100):
        pace.wait(100.0)
        pace.spend()

    assert pace.wait(100.0) > 0
    assert pace.wait(110.0) == 0


def test_what_comes_too_fast_travels_together(state: LiveState) -> None:
    seen = Seen(state, rate=1)
    seen.hear(price("101"))

    for number in range(50):
        assert seen.hear(price(str(200 + number), at=f"2026-11-20T11:00:{number:02}Z")) == []
    seen.wait()

    assert [message["seq"] for message in seen.messages] == [1, 2]
    last = seen.messages[-1]
    assert last["prices"] == {"BTCUSDT": {"price": "249", "timestamp": "2026-11-20T11:00:49Z"}}
    assert [row["current_price"] for row in last["positions"]] == ["249"]


def test_each_change_is_sent_once(state: LiveState) -> None:
    seen = Seen(state)

    first = seen.hear(price("150"))
    second = seen.hear(price("3000", symbol="ETHUSDT"))

    assert [row["position_id"] for row in first[0]["positions"]] == ["p1"]
    assert [row["position_id"] for row in second[0]["positions"]] == ["p2"]
    assert list(second[0]["prices"]) == ["ETHUSDT"]


def test_a_position_that_closes_is_named_and_not_shown(state: LiveState) -> None:
    seen = Seen(state, rate=1)
    seen.hear(price("150"))
    seen.hear(position(position_row(version=2)))
    seen.hear(closed(position_row(), 3))
    seen.wait()

    last = seen.messages[-1]
    assert (last["positions"], last["closed"]) == ([], ["p1"])
    assert last["totals"]["open_positions"] == 1
    assert [(row["bot_id"], row["open_positions"]) for row in last["bots"]] == [("alpha", 0)]


def test_restrictions_go_first_and_news_after_the_state(state: LiveState) -> None:
    seen = Seen(state)

    sent = seen.hear(news("fill", fill_id="f1"), price("150"), news("fill", fill_id="f2"), halt("HALTED", 1))

    assert [message["type"] for message in sent] == ["halt", "delta", "fill"]
    assert [message["seq"] for message in sent] == [1, 2, 3]
    assert [item["fill_id"] for item in sent[2]["items"]] == ["f1", "f2"]
    assert sent[0]["items"][0]["reason"] == "test"


def test_news_of_a_bot_that_floods_are_cut_and_counted(state: LiveState) -> None:
    seen = Seen(state)

    (sent,) = seen.hear(*(news("event", event_id=str(number)) for number in range(1050)))

    assert (len(sent["items"]), sent["omitted"]) == (1000, 50)
    assert sent["items"][-1]["event_id"] == "1049"


def test_a_bot_filter_shows_that_bot_alone(state: LiveState) -> None:
    seen = Seen(state, Filter(bot_id="alpha"))

    assert seen.hear(price("1", symbol="ETHUSDT"), news("fill", "beta", "ETHUSDT", fill_id="f")) == []
    assert seen.hear(halt("HALTED", 1, scope="bot", target="beta")) == []
    (delta,) = seen.hear(price("150"))
    (halted,) = seen.hear(halt("HALTED", 1, scope="bot", target="alpha"))

    assert [row["bot_id"] for row in delta["positions"]] == ["alpha"]
    assert list(delta["prices"]) == ["BTCUSDT"]
    assert delta["totals"]["open_positions"] == 1
    assert halted["type"] == "halt"
    snapshot = json.loads(seen.view.snapshot())
    assert [row["bot_id"] for row in snapshot["bots"]] == ["alpha"]
    assert list(snapshot["prices"]) == ["BTCUSDT"]


def test_a_symbol_filter_shows_that_symbol_alone(state: LiveState) -> None:
    seen = Seen(state, Filter(symbol="ETHUSDT"))

    assert seen.hear(price("150"), news("order", symbol="BTCUSDT", order_id="o", status="pending")) == []
    (delta,) = seen.hear(price("7", symbol="ETHUSDT"))

    assert [row["position_id"] for row in delta["positions"]] == ["p2"]
    assert delta["totals"]["by_currency"]["demo/USDT"]["equity"] is None
    assert list(json.loads(seen.view.snapshot())["prices"]) == ["ETHUSDT"]


def test_a_snapshot_is_made_once_for_all_who_ask(state: LiveState) -> None:
    seen = Seen(state)

    first = seen.view.snapshot()
    again = seen.view.snapshot()
    seen.hear(price("150"))

    assert first is again
    assert json.loads(seen.view.snapshot())["seq"] == 1


def test_the_totals_of_a_view_follow_a_change_of_mode(state: LiveState) -> None:
    seen = Seen(state)
    seen.hear(price("150"))

    (delta,) = seen.hear(news("bot", deployment_mode="live"))

    assert delta["totals"]["by_currency"]["live/USDT"]["unrealized_pnl"] == "100"
    assert delta["totals"]["by_currency"]["demo/USDT"]["open_positions"] == 1
