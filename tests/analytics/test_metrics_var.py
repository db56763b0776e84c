"""Value at risk and expected shortfall: by hand, at the edges, as invariants, and against empyrical.

empyrical's value at risk is the same percentile with the opposite sign, over all returns. Its conditional value at
risk takes a fixed number of worst returns; the canonical one takes all returns at or below the percentile. They
agree unless several returns equal the percentile.
"""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.metrics.var import at_equity, expected_shortfall, value_at_risk

Metric = Callable[[Sequence[float | None]], float | None]
ALL: list[Metric] = [value_at_risk, expected_shortfall]

returns_lists = st.lists(st.floats(-0.5, 0.5), min_size=30, max_size=300)


def thousandths(first: int, last: int) -> list[float]:
    return [value / 1000 for value in range(first, last + 1)]


def test_value_at_risk_by_hand_at_a_whole_rank() -> None:
    # 41 returns -0.020 … 0.020: rank (41 - 1) * 5 % = 2, the third smallest is -0.018
    assert value_at_risk(thousandths(-20, 20)) == pytest.approx(0.018, rel=1e-12)


def test_value_at_risk_by_hand_between_two_ranks() -> None:
    # 31 returns -0.015 … 0.015: rank 30 * 5 % = 1.5, half way between -0.014 and -0.013
    assert value_at_risk(thousandths(-15, 15)) == pytest.approx(0.0135, rel=1e-12)


def test_expected_shortfall_by_hand() -> None:
    # whole rank: mean of -0.020, -0.019, -0.018; between ranks: mean of -0.015, -0.014
    assert expected_shortfall(thousandths(-20, 20)) == pytest.approx(0.019, rel=1e-12)
    assert expected_shortfall(thousandths(-15, 15)) == pytest.approx(0.0145, rel=1e-12)


def test_expected_shortfall_takes_every_return_that_equals_the_percentile() -> None:
    # 41 returns, rank 2. Sorted: -0.04, then five of -0.01, then gains: percentile -0.01, six returns at or below,
    # mean (-0.04 - 5 * 0.01) / 6 = -0.015. empyrical takes three: (-0.04 - 2 * 0.01) / 3 = -0.02.
    returns = [-0.04] + [-0.01] * 5 + [0.02] * 35

    assert expected_shortfall(returns) == pytest.approx(0.015, rel=1e-12)
    assert empyrical.conditional_value_at_risk(np.array(returns)) == pytest.approx(-0.02, rel=1e-12)


def test_expected_shortfall_includes_the_percentile_at_every_whole_rank() -> None:
    # 141 returns, rank 140 / 20 = 7 exactly, although 140 * 0.05 is 7.000000000000001 in floats: eight returns.
    assert expected_shortfall(thousandths(-70, 70)) == pytest.approx(sum(range(63, 71)) / 8 / 1000, rel=1e-12)


@pytest.mark.parametrize("metric", ALL)
def test_below_thirty_returns_nothing_is_defined(metric: Metric) -> None:
    assert metric([]) is None
    assert metric([-0.01] * 29) is None
    assert metric([-0.01] * 29 + [None] * 5) is None
    assert metric([-0.01] * 30) == pytest.approx(0.01)


@pytest.mark.parametrize("metric", ALL)
def test_only_the_last_250_returns_count(metric: Metric) -> None:
    crash, calm = [-0.9] * 50, [0.001 * (n % 7 - 3) for n in range(250)]

    assert metric(crash + calm) == metric(calm)
    assert metric(crash + calm[:125] + [None] * 20 + calm[125:]) == metric(calm)
    assert metric([*crash, *calm[20:]]) == pytest.approx(0.9)


def test_a_tail_without_losses_is_a_negative_loss() -> None:
    assert value_at_risk([0.01] * 40) == pytest.approx(-0.01)
    assert value_at_risk([0.0] * 40) == 0
    assert math.copysign(1, value_at_risk([0.0] * 40) or 0) == 1


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_return_that_is_not_finite_is_refused(metric: Metric, bad: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        metric([*thousandths(-20, 20), bad])


def test_at_equity_makes_money() -> None:
    assert at_equity(0.25, Decimal("1000.5")) == Decimal("250.125")
    assert at_equity(None, Decimal(1000)) is None
    assert at_equity(0.25, Decimal(0)) is None
    assert at_equity(0.25, Decimal(-5)) is None
    with pytest.raises(ValueError, match="equity is not a finite number"):
        at_equity(0.25, Decimal("NaN"))


@settings(deadline=None)
@given(fraction=st.floats(-1, 1), equity=st.decimals(min_value="0.01", max_value="1e12", places=8))
def test_money_at_risk_grows_with_equity(fraction: float, equity: Decimal) -> None:
    single, double = at_equity(fraction, equity), at_equity(fraction, equity + equity)

    assert single is not None
    assert double is not None
    assert abs(Fraction(double) - 2 * Fraction(single)) <= Fraction(3, 2 * 10**18)


@settings(deadline=None)
@given(returns=returns_lists)
def test_shortfall_is_at_least_value_at_risk_and_at_most_the_worst_day(returns: list[float]) -> None:
    var, cvar = value_at_risk(returns), expected_shortfall(returns)

    assert var is not None
    assert cvar is not None
    assert var <= cvar + 1e-12
    assert cvar <= -min(returns[-250:]) + 1e-12


@settings(deadline=None)
@given(returns=returns_lists.filter(lambda values: len(values) <= 250), data=st.data())
def test_the_order_of_days_does_not_matter(returns: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(returns))

    assert value_at_risk(shuffled) == value_at_risk(returns)
    assert expected_shortfall(shuffled) == pytest.approx(expected_shortfall(returns), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("size", [30, 41, 100, 250])
def test_empyrical_agrees_with_the_opposite_sign(size: int) -> None:
    array = np.random.default_rng(size).normal(0.0, 0.03, size=size)
    returns = [float(value) for value in array]

    assert value_at_risk(returns) == pytest.approx(-empyrical.value_at_risk(array), rel=1e-9)
    assert expected_shortfall(returns) == pytest.approx(-empyrical.conditional_value_at_risk(array), rel=1e-9)
