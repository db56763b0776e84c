"""The state in memory: exact values, and nothing old ever wins."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bots.live.state import LiveState
from tests.live.live_rows import bot_row, closed, halt, loaded, news, position, position_row, price

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


def state_of(*rows: dict[str, Any], **rest: Any) -> LiveState:
    state = LiveState()
    state.reconcile(loaded(*rows, **rest), since=0)
    return state


def shown(state: LiveState, position_id: str = "p1") -> dict[str, Any]:
    row: dict[str, Any] = json.loads(state.positions[position_id].text)
    return row


@pytest.mark.parametrize(
    ("side", "size", "cost", "at", "unrealized", "share"),
    [
        ("long", "2", "200", "123.45", "46.9", "0.2345"),
        ("short", "2", "200", "123.45", "-46.9", "-0.2345"),
        # 18 decimals times 18 decimals: a float would lose all of the tail.
        ("long", "0.000000000000000003", "0.1", "0.000000000000000007", "-0.1", "-1"),
        ("long", "3", "1", "0.333333333333333333", "-0.000000000000000001", "0"),
        ("short", "1234567.000000000000000001", "1", "9.5", "-11728385.5000000000000000095", "-11728385.5"),
    ],
)
def test_a_price_revalues_exactly(side: str, size: str, cost: str, at: str, unrealized: str, share: str) -> None:
    state = state_of(position_row(side=side, size=size, cost_basis=cost, realized_pnl="10"))

    changes = state.apply([price(at)])

    assert changes.positions == {"p1"}
    row = shown(state)
    expected = Decimal(unrealized).quantize(Decimal(1).scaleb(-18)) if len(unrealized) > 25 else Decimal(unrealized)
    assert Decimal(row["unrealized_pnl"]) == expected
    assert row["unrealized_pnl_pct"] == share
    assert Decimal(row["total_pnl"]) == expected + 10
    assert (row["current_price"], row["marked_at"]) == (at, "2026-11-20T10:00:00Z")


def test_a_price_touches_only_its_symbol() -> None:
    state = state_of(position_row(), position_row("p2", symbol="ETHUSDT", bot_id="alpha"))

    changes = state.apply([price("1", symbol="ETHUSDT")])

    assert changes.positions == {"p2"}
    assert shown(state)["current_price"] is None


def test_an_older_price_never_wins() -> None:
    state = state_of(position_row())
    state.apply([price("110", at="2026-11-20T10:00:00.5Z")])

    late = state.apply([price("90", at="2026-11-20T10:00:00Z")])

    assert not late
    assert shown(state)["current_price"] == "110"


def test_an_older_version_never_wins() -> None:
    state = state_of(position_row(version=5, size="3", cost_basis="300"))

    assert not state.apply([position(position_row(version=4))])
    assert not state.apply([position(position_row(version=5))])
    assert shown(state)["size"] == "3"


def test_late_news_does_not_reopen_a_closed_position() -> None:
    row = position_row(version=2)
    state = state_of(row)

    assert state.apply([closed(row, 3)]).closed == {"p1": ("alpha", "BTCUSDT")}
    assert not state.apply([position(row)])
    assert not state.apply([position(position_row(version=3))])
    assert state.positions == {}


def test_late_news_of_a_closing_does_not_close_what_was_changed_since() -> None:
    state = state_of(position_row(version=9))

    assert not state.apply([closed(position_row(), 8)])
    assert "p1" in state.positions


def test_a_bot_holds_one_position_in_a_symbol() -> None:
    state = state_of(position_row())

    later = position_row("p2", side="short", opened_at="2026-11-19T14:00:00Z")
    changes = state.apply([position(later)])

    assert set(changes.closed) == {"p1"}
    assert changes.positions == {"p2"}
    assert state.bots["alpha"].open_positions == 1
    assert not state.apply([position(position_row("p1", version=1))])


def test_a_new_position_is_valued_at_the_known_price() -> None:
    state = state_of()
    state.apply([price("150")])

    state.apply([position(position_row(current_price="120", marked_at="2026-11-20T09:00:00Z"))])

    assert shown(state)["unrealized_pnl"] == "100"


def test_a_newer_mark_of_the_ledger_is_kept() -> None:
    state = state_of()
    state.apply([price("150")])

    state.apply([position(position_row(current_price="120", marked_at="2026-11-20T11:00:00Z"))])

    assert shown(state)["unrealized_pnl"] == "40"


def test_an_older_heartbeat_never_wins() -> None:
    state = state_of(bots=[bot_row(last_heartbeat="2026-11-20T10:00:00Z")])

    state.apply([news("bot", last_heartbeat="2026-11-20T09:59:00Z", error_count=3)])

    facts = state.bots["alpha"].facts
    assert (facts["last_heartbeat"], facts["error_count"]) == ("2026-11-20T10:00:00Z", 3)


def test_a_lost_publish_heals() -> None:
    first, second = position_row(), position_row("p2", symbol="ETHUSDT")
    state = state_of(first)

    changes = state.reconcile(loaded(second), since=state.clock)

    assert set(changes.closed) == {"p1"}
    assert changes.positions == {"p2"}
    assert set(state.positions) == {"p2"}


def test_a_load_does_not_undo_what_came_after_it_began() -> None:
    old = position_row()
    state = state_of(old, bots=[bot_row(error_count=1)])
    began = state.clock
    state.apply([closed(old, 2), position(position_row("p2", symbol="ETHUSDT")), news("bot", error_count=2)])

    changes = state.reconcile(loaded(old, bots=[bot_row(error_count=1)]), since=began)

    assert not changes
    assert set(state.positions) == {"p2"}
    assert state.bots["alpha"].facts["error_count"] == 2


def test_only_newer_restrictions_count() -> None:
    state = state_of()

    assert state.apply([halt("HALTED", 2)]).news
    assert not state.apply([halt("ACTIVE", 1)])
    assert set(state.halts) == {("all", "")}
    assert state.apply([halt("ACTIVE", 3)]).news
    assert state.halts == {}


def test_a_silent_bot_becomes_late_and_then_down(settings: Any) -> None:
    settings.HEARTBEAT_LATE_SECONDS, settings.HEARTBEAT_DOWN_SECONDS = 30, 120
    state = state_of(bots=[bot_row(last_heartbeat="2026-11-20T10:00:00Z")])

    words = []
    for seconds in (10, 31, 121):
        changes = state.age(NOW + timedelta(seconds=seconds))
        words.append((state.bots["alpha"].liveness, bool(changes)))

    assert words == [("up", True), ("late", True), ("down", True)]
    assert not state.age(NOW + timedelta(seconds=122))


def test_profit_of_the_day_adds_only_the_bots_own_currency() -> None:
    realized = {
        ("alpha", "BTCUSDT"): Decimal("1.5"),
        ("alpha", "ETHUSDT"): Decimal("-0.25"),
        ("alpha", "ETHBTC"): Decimal(3),
    }
    state = state_of(realized=realized)

    row = json.loads(state.bots["alpha"].text())
    assert (row["realized_today"], row["excluded_currencies"]) == ("1.25", ["BTC"])


def test_a_closed_trade_asks_for_the_days_profit_again() -> None:
    state = state_of()

    changes = state.apply([news("trade", trade_id="t1"), news("fill", fill_id="f1")])

    assert changes.traded == {"alpha"}
    assert [update["kind"] for update in changes.news] == ["trade", "fill"]
