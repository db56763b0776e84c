"""Totals: exact, and unlike things are never added."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bots.live.rows import LiveBot, LivePosition
from bots.live.totals import Totals
from tests.live.live_rows import bot_row, position_row

AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=18)


def bot(bot_id: str, **columns: Any) -> LiveBot:
    made = LiveBot(bot_id)
    made.learn(bot_row(bot_id, **columns))
    return made


def held(position_id: str, at: str | None = "150", **columns: Any) -> LivePosition:
    return LivePosition.from_wire(position_row(position_id, current_price=at, **columns))


def test_modes_and_currencies_stay_apart() -> None:
    totals = Totals()
    totals.put(held("p1"), ("demo", "USDT"))
    totals.put(held("p2", side="short"), ("live", "USDT"))
    totals.put(held("p3", at="60"), ("demo", "BTC"))
    bots = [bot("a", current_equity="10"), bot("b", current_equity="5.5"), bot("c", deployment_mode="live")]

    row = totals.row(bots, {("a", "ETHUSDT"): Decimal(7), ("a", "ETHBTC"): Decimal(2)}, has_equity=True)

    assert (row["open_positions"], row["bots"]) == (3, 3)
    groups = row["by_currency"]
    assert set(groups) == {"demo/USDT", "live/USDT", "demo/BTC"}
    demo = groups["demo/USDT"]
    assert (demo["exposure"], demo["unrealized_pnl"], demo["realized_today"], demo["equity"]) == (
        "300",
        "100",
        "7",
        "15.5",
    )
    live = groups["live/USDT"]
    assert (live["unrealized_pnl"], live["equity"], live["bots_without_equity"]) == ("-100", None, 1)
    assert (groups["demo/BTC"]["unrealized_pnl"], groups["demo/BTC"]["realized_today"]) == ("-80", "2")


def test_an_unmarked_position_is_counted_and_not_valued() -> None:
    totals = Totals()
    totals.put(held("p1", at=None), ("demo", "USDT"))

    group = totals.row([], {}, has_equity=True)["by_currency"]["demo/USDT"]

    assert (group["open_positions"], group["unmarked"], group["exposure"]) == (1, 1, "0")


@given(st.lists(st.tuples(st.integers(0, 4), st.none() | AMOUNTS), max_size=40))
def test_sums_never_drift(steps: list[tuple[int, Decimal | None]]) -> None:
    totals = Totals()
    last: dict[str, Decimal] = {}
    for number, amount in steps:
        name = f"p{number}"
        if amount is None:
            totals.drop(name)
            last.pop(name, None)
        else:
            one = held(name)
            one.unrealized = amount
            totals.put(one, ("demo", "USDT"))
            last[name] = amount

    groups = totals.row([], {}, has_equity=True)["by_currency"]

    shown = groups["demo/USDT"]["unrealized_pnl"] if last else "0"
    assert Fraction(shown) == sum(map(Fraction, last.values()))
