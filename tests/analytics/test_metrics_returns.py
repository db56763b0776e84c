"""Flow-adjusted daily returns: by hand, at the edges, and as invariants."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analytics.metrics.borders import EXACT
from analytics.metrics.returns import (
    DayEquity,
    DayReturn,
    complete_series,
    compute_returns_matrix,
    daily_returns,
)

FIRST = date(2026, 3, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number - 1)


def returns_of(
    equity: Mapping[date, Decimal], flows: Mapping[date, Decimal], *, days: int, start: str = "1000"
) -> list[DayReturn]:
    series = complete_series(first_day=FIRST, last_day=day(days), equity=equity, flows=flows)
    return daily_returns(series, starting_equity=Decimal(start))


money = st.decimals(min_value="0.01", max_value="1000000", places=8)
sparse_money = st.dictionaries(st.integers(1, 12).map(day), money, max_size=12)
sparse_flows = st.dictionaries(
    st.integers(1, 12).map(day), st.decimals(min_value="-5000", max_value="5000", places=8), max_size=6
)


def test_returns_take_flows_out_and_carry_missing_days() -> None:
    # Start 1000.
    # Day 1: 1050, no flow            -> (1050 - 0) / 1000 - 1 = 0.05,              P&L 50
    # Day 2: 1260 after a deposit 210 -> (1260 - 210) / 1050 - 1 = 0,               P&L 0
    # Day 3: no balance, 60 withdrawn -> carried 1260 - 60 = 1200, return 0,        P&L 0
    # Day 4: 1140                     -> 1140 / 1200 - 1 = -0.05,                   P&L -60
    equity = {day(1): Decimal(1050), day(2): Decimal(1260), day(4): Decimal(1140)}
    flows = {day(2): Decimal(210), day(3): Decimal(-60)}

    result = returns_of(equity, flows, days=4)

    assert [entry.daily_return for entry in result] == [Decimal("0.05"), 0, 0, Decimal("-0.05")]
    assert [entry.daily_pnl for entry in result] == [50, 0, 0, -60]
    assert [entry.starting_equity for entry in result] == [1000, 1050, 1260, 1200]
    assert [entry.ending_equity for entry in result] == [1050, 1260, 1200, 1140]
    assert [entry.is_carried for entry in result] == [False, False, True, False]


def test_series_has_every_calendar_day_and_leaves_out_later_ones() -> None:
    equity = {day(1): Decimal(10), day(3): Decimal(30), day(9): Decimal(90)}

    series = complete_series(first_day=FIRST, last_day=day(4), equity=equity, flows={day(2): Decimal(5)})

    assert series == [
        DayEquity(day=day(1), equity=Decimal(10), flow=Decimal(0)),
        DayEquity(day=day(2), equity=None, flow=Decimal(5)),
        DayEquity(day=day(3), equity=Decimal(30), flow=Decimal(0)),
        DayEquity(day=day(4), equity=None, flow=Decimal(0)),
    ]


def test_return_is_undefined_on_a_day_that_begins_without_equity() -> None:
    equity = {day(1): Decimal(-5), day(2): Decimal(100), day(3): Decimal(110)}

    result = returns_of(equity, {day(2): Decimal(105)}, days=3, start="50")

    # Day 1: -5 / 50 - 1 = -1.1. Day 2 begins at -5. Day 3: 110 / 100 - 1 = 0.1.
    assert [entry.daily_return for entry in result] == [Decimal("-1.1"), None, Decimal("0.1")]
    assert [entry.daily_pnl for entry in result] == [-55, 0, 10]


def test_facts_before_the_first_day_are_refused() -> None:
    with pytest.raises(ValueError, match="before first_day"):
        complete_series(first_day=FIRST, last_day=day(2), equity={day(0): Decimal(1)}, flows={})
    with pytest.raises(ValueError, match="before first_day"):
        complete_series(first_day=FIRST, last_day=day(2), equity={}, flows={day(0): Decimal(1)})
    with pytest.raises(ValueError, match="is before first_day"):
        complete_series(first_day=FIRST, last_day=day(0), equity={}, flows={})


def test_days_that_do_not_follow_each_other_are_refused() -> None:
    series = [DayEquity(day(n), Decimal(1), Decimal(0)) for n in (1, 3)]

    with pytest.raises(ValueError, match="does not follow"):
        daily_returns(series, starting_equity=Decimal(1))


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity"])
def test_money_that_is_not_finite_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="equity is not a finite number"):
        DayEquity(FIRST, Decimal(bad), Decimal(0))
    with pytest.raises(ValueError, match="flow is not a finite number"):
        DayEquity(FIRST, None, Decimal(bad))
    with pytest.raises(ValueError, match="starting_equity is not a finite number"):
        daily_returns([], starting_equity=Decimal(bad))


@settings(deadline=None)
@given(equity=sparse_money, flows=sparse_flows)
def test_daily_pnl_adds_up_to_the_change_of_equity_without_flows(
    equity: dict[date, Decimal], flows: dict[date, Decimal]
) -> None:
    result = returns_of(equity, flows, days=12)

    with localcontext(EXACT):
        change = result[-1].ending_equity - 1000 - sum(flows.values())
        assert sum(entry.daily_pnl for entry in result) == change


@settings(deadline=None)
@given(equity=sparse_money, flows=sparse_flows, scale=st.sampled_from(["0.001", "7", "1000000"]))
def test_returns_do_not_depend_on_the_unit_of_money(
    equity: dict[date, Decimal], flows: dict[date, Decimal], scale: str
) -> None:
    factor = Decimal(scale)
    with localcontext(EXACT):
        scaled_equity = {at: value * factor for at, value in equity.items()}
        scaled_flows = {at: value * factor for at, value in flows.items()}

    plain = returns_of(equity, flows, days=12)
    scaled = returns_of(scaled_equity, scaled_flows, days=12, start=str(1000 * factor))

    assert [entry.daily_return for entry in scaled] == [entry.daily_return for entry in plain]


@settings(deadline=None)
@given(equity=sparse_money, flows=sparse_flows, begins=st.integers(1, 6), start=money)
def test_matrix_of_returns_equals_the_decimal_returns(
    equity: dict[date, Decimal], flows: dict[date, Decimal], begins: int, start: Decimal
) -> None:
    equity = {at: value for at, value in equity.items() if at >= day(begins)}
    flows = {at: value for at, value in flows.items() if at >= day(begins)}
    series = complete_series(first_day=day(begins), last_day=day(12), equity=equity, flows=flows)
    exact = daily_returns(series, starting_equity=start)
    # What a withdrawal of nearly everything leaves has too few digits as a float to divide by.
    assume(all(entry.starting_equity > Decimal("0.001") for entry in exact))
    days = [day(n) for n in range(1, 13)]

    matrix = compute_returns_matrix(
        equity=np.array([[float(equity.get(at, "nan")) for at in days]] * 2),
        flows=np.array([[float(flows.get(at, 0)) for at in days]] * 2),
        starting_equity=np.array([float(start)] * 2),
        first_column=np.array([begins - 1] * 2),
    )

    expected = [np.nan] * (begins - 1) + [float(entry.daily_return or 0) for entry in exact]
    for row in matrix:
        assert row.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


def test_matrix_of_returns_by_hand() -> None:
    # Bot 1 is the example of the first test. Bot 2 begins on day 3 with 10 and goes broke: 10 -> 0 -> (undefined).
    nan = np.nan
    matrix = compute_returns_matrix(
        equity=np.array([[1050, 1260, nan, 1140], [nan, 7, 0, 5]]),
        flows=np.array([[0, 210, -60, 0], [0.0, 0, 0, 0]]),
        starting_equity=np.array([1000.0, 10]),
        first_column=np.array([0, 2]),
    )

    assert matrix[0].tolist() == pytest.approx([0.05, 0, 0, -0.05], abs=1e-15)
    assert matrix[1].tolist() == pytest.approx([nan, nan, -1, nan], nan_ok=True)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_matrix_refuses_infinities_and_unknown_flows(bad: float) -> None:
    good = {"equity": np.ones((1, 2)), "flows": np.zeros((1, 2)), "starting_equity": np.ones(1)}

    for name, value in (
        ("equity", np.array([[1, bad]])),
        ("flows", np.array([[0, bad]])),
        ("flows", np.array([[0, np.nan]])),
        ("starting_equity", np.array([np.nan])),
    ):
        with pytest.raises(ValueError, match="must be finite"):
            compute_returns_matrix(**{**good, name: value}, first_column=np.array([0]))
