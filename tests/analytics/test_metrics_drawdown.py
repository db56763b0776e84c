"""Drawdown in fractions, days and money: by hand, at the edges, as invariants, and against empyrical.

empyrical agrees on the fraction, with the opposite sign.
"""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.metrics.drawdown import current_drawdown, max_drawdown, max_drawdown_days, max_drawdown_money

Metric = Callable[[Sequence[float | None]], float | None]
ALL: list[Metric] = [max_drawdown, current_drawdown, max_drawdown_days]

returns_lists = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=60)
pnl_lists = st.lists(st.decimals(min_value=-1000, max_value=1000, places=8), max_size=40)


def test_max_drawdown_by_hand() -> None:
    # curve 1.25, 1.0, 0.5, 1.0, 1.5; peak before the trough 1.25; 1 - 0.5 / 1.25 = 0.6
    assert max_drawdown([0.25, -0.2, -0.5, 1.0, 0.5]) == pytest.approx(0.6, rel=1e-12)


def test_current_drawdown_by_hand() -> None:
    # curve 1.25, 1.0, 0.5, 1.0; peak 1.25; 1 - 1.0 / 1.25 = 0.2
    assert current_drawdown([0.25, -0.2, -0.5, 1.0]) == pytest.approx(0.2, rel=1e-12)


def test_max_drawdown_days_by_hand() -> None:
    # below 1.25 on days 2, 3 and 4; day 5 is a new peak; below 1.5 on day 6
    assert max_drawdown_days([0.25, -0.2, -0.5, 1.0, 0.5, -0.1]) == 3


def test_max_drawdown_money_by_hand() -> None:
    # running sum 250, 0, -500, 0, 500; peak before the trough 250; 250 - (-500) = 750
    pnls = [Decimal(value) for value in (250, -250, -500, 500, 500)]

    assert max_drawdown_money(pnls) == 750


def test_a_loss_on_the_first_day_counts() -> None:
    assert max_drawdown([-0.1]) == pytest.approx(0.1, rel=1e-12)
    assert current_drawdown([-0.1]) == pytest.approx(0.1, rel=1e-12)
    assert max_drawdown_days([-0.1]) == 1
    assert max_drawdown_money([Decimal("-0.1")]) == Decimal("0.1")


def test_without_a_loss_there_is_no_drawdown() -> None:
    assert [metric([0.1, 0.0, 0.2]) for metric in ALL] == [0, 0, 0]
    assert max_drawdown_money([Decimal(1), Decimal(0)]) == 0


@pytest.mark.parametrize("returns", [[], [None], [None, None]])
def test_without_returns_nothing_is_defined(returns: list[None]) -> None:
    assert [metric(returns) for metric in ALL] == [None, None, None]
    assert max_drawdown_money([]) == 0


def test_coming_back_to_the_peak_ends_the_spell_in_spite_of_rounding() -> None:
    # Equity 100 -> 110 -> 100 -> 110 and flat: as floats the second 1.1 lies 2e-16 below the first.
    returns = [0.1, 100 / 110 - 1, 0.1] + [0.0] * 20

    assert max_drawdown_days(returns) == 1
    assert current_drawdown(returns) == 0


def test_what_is_lost_stays_lost() -> None:
    assert max_drawdown([-1.0, 9.0]) == 1
    assert current_drawdown([-1.0, 9.0]) == 1
    assert max_drawdown_days([0.5, -1.0, 9.0, 9.0]) == 3
    assert max_drawdown([-1.5, -0.5]) == pytest.approx(1.5)
    assert max_drawdown([-1.5, -3.0]) == pytest.approx(1.5)


def test_undefined_days_change_nothing_but_last_a_day() -> None:
    assert max_drawdown([None, -0.1, None, 0.05]) == max_drawdown([-0.1, 0.05])
    assert max_drawdown_days([None, -0.1, None, 0.05]) == 3


def test_a_curve_too_large_for_a_float_has_no_drawdown() -> None:
    returns = [1e200, 1e200, -0.5]

    assert [metric(returns) for metric in ALL] == [None, None, None]


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_return_that_is_not_finite_is_refused(metric: Metric, bad: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        metric([0.01, bad])


@pytest.mark.parametrize("bad", ["NaN", "Infinity"])
def test_money_that_is_not_finite_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="daily_pnl is not a finite number"):
        max_drawdown_money([Decimal(bad)])


def test_money_is_exact_to_the_last_digit() -> None:
    pnls = [Decimal("12345678901234567890.123456789012345678"), Decimal("-0.000000000000000001")]

    assert max_drawdown_money(pnls) == Decimal("0.000000000000000001")


@settings(deadline=None)
@given(returns=returns_lists)
def test_drawdown_lies_between_none_and_all_and_the_current_one_within_the_deepest(returns: list[float]) -> None:
    deepest, current, days = max_drawdown(returns), current_drawdown(returns), max_drawdown_days(returns)

    assert deepest is not None
    assert current is not None
    assert days is not None
    assert 0 <= current <= deepest < 1
    assert (days > 0) == (deepest > 0)
    assert days <= len(returns)


@settings(deadline=None)
@given(returns=returns_lists)
def test_drawdown_equals_the_worst_of_all_pairs_of_days(returns: list[float]) -> None:
    curve = [1.0]
    for value in returns:
        curve.append(curve[-1] * (1 + value))

    worst = max(1 - curve[j] / curve[i] for j in range(len(curve)) for i in range(j + 1))

    assert max_drawdown(returns) == pytest.approx(worst, abs=2e-12)


@settings(deadline=None)
@given(returns=returns_lists, idle=st.integers(1, 5))
def test_idle_days_before_change_nothing_and_after_only_lengthen_a_spell(returns: list[float], idle: int) -> None:
    before, after = [0.0] * idle + returns, returns + [0.0] * idle

    assert [metric(before) for metric in ALL] == [metric(returns) for metric in ALL]
    assert max_drawdown(after) == max_drawdown(returns)
    assert current_drawdown(after) == current_drawdown(returns)
    assert (max_drawdown_days(after) or 0) >= (max_drawdown_days(returns) or 0)


@settings(deadline=None)
@given(pnls=pnl_lists)
def test_money_equals_the_worst_of_all_pairs_of_days(pnls: list[Decimal]) -> None:
    levels = [sum(pnls[:n], Decimal(0)) for n in range(len(pnls) + 1)]

    worst = max(levels[i] - levels[j] for j in range(len(levels)) for i in range(j + 1))

    assert max_drawdown_money(pnls) == worst


@pytest.mark.parametrize("seed", range(5))
def test_empyrical_agrees_with_the_opposite_sign(seed: int) -> None:
    array = np.random.default_rng(seed).normal(0.0, 0.03, size=300)
    returns = [float(value) for value in array]

    assert max_drawdown(returns) == pytest.approx(-empyrical.max_drawdown(array), rel=1e-9)
    assert current_drawdown(returns) == pytest.approx(-empyrical.stats.drawdown_series(array)[-1], rel=1e-9)
