"""Volatility, Sharpe, Sortino, CAGR and Calmar: by hand, at the edges, as invariants, and against empyrical.

empyrical agrees with the canonical set when it is told to use 365 days. It differs where nothing is defined: it
returns NaN or infinity for a Sharpe or Sortino ratio without deviation, where the canonical set returns None.
"""

import math
from collections.abc import Callable, Sequence

import empyrical
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analytics.metrics.ratios import cagr, calmar_ratio, sharpe_ratio, sortino_ratio, volatility

Metric = Callable[[Sequence[float | None]], float | None]
ALL: list[Metric] = [volatility, sharpe_ratio, sortino_ratio, cagr, calmar_ratio]
FIFTH_OF_A_YEAR = 73  # days, so that a growth g is (1 + g)^5 - 1 a year

returns_lists = st.lists(st.floats(-0.3, 0.3).map(lambda value: round(value, 6)), min_size=2, max_size=60)


def close(value: float | None, expected: float | None) -> bool:
    """Whether both are undefined, or both are the same number but for rounding."""
    if value is None or expected is None:
        return value is expected
    return math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9)


def oracle_returns(seed: int) -> list[float]:
    generator = np.random.default_rng(seed)
    return [float(value) for value in generator.normal(0.001, 0.02, size=400)]


def test_volatility_by_hand() -> None:
    # mean 0.02; deviations -0.01 and 0.01; sum of squares 0.0002; / (2 - 1); times 365 days = 0.073 under the root
    assert volatility([0.01, 0.03]) == pytest.approx(math.sqrt(0.073), rel=1e-12)


def test_sharpe_ratio_by_hand() -> None:
    # mean 0.02; standard deviation sqrt(0.0002) = 0.01 * sqrt(2); 0.02 / (0.01 * sqrt(2)) = sqrt(2); * sqrt(365)
    assert sharpe_ratio([0.01, 0.03]) == pytest.approx(math.sqrt(730), rel=1e-12)


def test_sharpe_ratio_counts_only_what_exceeds_the_risk_free_rate() -> None:
    # mean 0.02 - 0.01 = 0.01, the deviation is the same: half of the ratio above
    assert sharpe_ratio([0.01, 0.03], risk_free=0.01) == pytest.approx(math.sqrt(730) / 2, rel=1e-12)


def test_sortino_ratio_by_hand() -> None:
    # mean 0.01; bad days: (-0.01)^2 = 0.0001, over all 2 days 0.00005, root 0.01 / sqrt(2);
    # 0.01 / (0.01 / sqrt(2)) = sqrt(2); * sqrt(365)
    assert sortino_ratio([0.03, -0.01]) == pytest.approx(math.sqrt(730), rel=1e-12)


def test_sortino_ratio_measures_from_the_risk_free_rate() -> None:
    # excess 0.02 and -0.02: mean 0, so the ratio is 0
    assert sortino_ratio([0.03, -0.01], risk_free=0.01) == pytest.approx(0, abs=1e-12)


def test_cagr_by_hand() -> None:
    # +10 % in 73 days, five such spells a year: 1.1^5 - 1 = 0.61051
    returns = [0.1] + [0.0] * (FIFTH_OF_A_YEAR - 1)

    assert cagr(returns) == pytest.approx(0.61051, rel=1e-12)


def test_calmar_ratio_by_hand() -> None:
    # 1 -> 0.8 -> 0.8 * 1.375 = 1.1 in 73 days: CAGR 0.61051; deepest drawdown 0.2; 0.61051 / 0.2 = 3.05255
    returns = [-0.2, 0.375] + [0.0] * (FIFTH_OF_A_YEAR - 2)

    assert calmar_ratio(returns) == pytest.approx(3.05255, rel=1e-12)


@pytest.mark.parametrize("metric", ALL)
def test_nothing_is_defined_without_returns(metric: Metric) -> None:
    assert metric([]) is None
    assert metric([None, None]) is None


@pytest.mark.parametrize("metric", [volatility, sharpe_ratio, sortino_ratio])
def test_one_return_has_no_deviation(metric: Metric) -> None:
    assert metric([-0.01]) is None


# 0.1 three times: the floats' mean is 0.10000000000000002, and a naive deviation is 1.7e-17 instead of 0.
@pytest.mark.parametrize("returns", [[0.1, 0.1, 0.1], [0.0, 0.0], [-0.05] * 7, [0.01, 0.01 + 1e-15]])
def test_equal_returns_have_no_sharpe_ratio_and_no_volatility(returns: list[float]) -> None:
    assert sharpe_ratio(returns) is None
    assert volatility(returns) == 0


def test_sortino_ratio_is_undefined_without_a_bad_day() -> None:
    assert sortino_ratio([0.01, 0.0, 0.02]) is None


def test_calmar_ratio_is_undefined_without_a_drawdown() -> None:
    assert calmar_ratio([0.01, 0.0, 0.02]) is None


def test_a_total_loss_grows_at_minus_one_and_stays_lost() -> None:
    assert cagr([-1.0]) == -1
    assert cagr([-1.0, 0.5, 0.5]) == -1
    assert calmar_ratio([-1.0, 0.5]) == -1


def test_a_debt_has_no_growth_rate() -> None:
    assert cagr([-1.5]) is None
    assert cagr([-1.5, 0.5, -3.0]) is None
    assert calmar_ratio([-1.5]) is None


def test_growth_too_large_for_a_float_is_undefined() -> None:
    assert cagr([10.0]) is None
    assert calmar_ratio([1000.0, -0.1]) is None


def test_undefined_days_are_no_returns_but_still_days_for_cagr() -> None:
    with_hole = [None, 0.1] + [None] * (FIFTH_OF_A_YEAR - 2) + [0.0]

    assert cagr(with_hole) == pytest.approx(0.61051, rel=1e-12)
    assert sharpe_ratio([None, 0.01, None, 0.03]) == sharpe_ratio([0.01, 0.03])


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_return_that_is_not_finite_is_refused(metric: Metric, bad: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        metric([0.01, bad, 0.02])


@pytest.mark.parametrize("metric", [sharpe_ratio, sortino_ratio])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_rate_that_is_not_finite_is_refused(metric: Callable[..., float | None], bad: float) -> None:
    with pytest.raises(ValueError, match="risk-free rate"):
        metric([0.01, 0.02], risk_free=bad)


@settings(deadline=None)
@given(returns=returns_lists, factor=st.sampled_from([0.25, 0.5, 2.0]))
def test_sharpe_and_sortino_do_not_change_with_leverage_and_volatility_follows_it(
    returns: list[float], factor: float
) -> None:
    levered = [value * factor for value in returns]

    assert close(sharpe_ratio(levered), sharpe_ratio(returns))
    assert close(sortino_ratio(levered), sortino_ratio(returns))
    assert close(volatility(levered), (volatility(returns) or 0) * factor)


@settings(deadline=None)
@given(returns=returns_lists, data=st.data())
def test_sharpe_sortino_volatility_and_cagr_do_not_depend_on_the_order_of_days(
    returns: list[float], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(returns))

    assert close(volatility(shuffled), volatility(returns))
    assert close(sharpe_ratio(shuffled), sharpe_ratio(returns))
    assert close(sortino_ratio(shuffled), sortino_ratio(returns))
    assert close(cagr(shuffled), cagr(returns))


@settings(deadline=None)
@given(returns=returns_lists)
def test_downside_is_never_more_than_all_movement(returns: list[float]) -> None:
    # sqrt(sum(min(r, 0)^2) / n) <= sqrt(sum(r^2) / n), so |Sortino| >= |mean| / root mean square * sqrt(365).
    sortino = sortino_ratio(returns)
    assume(sortino is not None)
    root_mean_square = math.sqrt(math.fsum(value * value for value in returns) / len(returns))

    floor = abs(math.fsum(returns) / len(returns)) / root_mean_square * math.sqrt(365)

    assert abs(sortino or 0) >= floor * (1 - 1e-9) - 1e-9


@settings(deadline=None)
@given(returns=returns_lists)
def test_cagr_has_the_sign_of_the_total_growth_and_calmar_the_sign_of_cagr(returns: list[float]) -> None:
    growth = math.prod(1 + value for value in returns) - 1
    assume(abs(growth) > 1e-9)

    rate, calmar = cagr(returns), calmar_ratio(returns)

    assert rate is not None
    assert (rate > 0) == (growth > 0)
    assert calmar is None or (calmar > 0) == (rate > 0)


@pytest.mark.parametrize("seed", range(5))
def test_empyrical_agrees(seed: int) -> None:
    returns = oracle_returns(seed)
    array = np.array(returns)

    assert volatility(returns) == pytest.approx(empyrical.annual_volatility(array, annualization=365), rel=1e-9)
    assert sharpe_ratio(returns) == pytest.approx(empyrical.sharpe_ratio(array, annualization=365), rel=1e-9)
    assert sharpe_ratio(returns, risk_free=0.0003) == pytest.approx(
        empyrical.sharpe_ratio(array, risk_free=0.0003, annualization=365), rel=1e-9
    )
    assert sortino_ratio(returns) == pytest.approx(empyrical.sortino_ratio(array, annualization=365), rel=1e-9)
    assert sortino_ratio(returns, risk_free=0.0003) == pytest.approx(
        empyrical.sortino_ratio(array, required_return=0.0003, annualization=365), rel=1e-9
    )
    assert cagr(returns) == pytest.approx(empyrical.cagr(array, annualization=365), rel=1e-9)
    assert calmar_ratio(returns) == pytest.approx(empyrical.calmar_ratio(array, annualization=365), rel=1e-9)
