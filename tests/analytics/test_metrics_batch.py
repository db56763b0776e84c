"""Many bots at once equal each bot alone, and both equal a plain reference that shares no code with them."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.metrics import drawdown, ratios, var
from analytics.metrics.batch import compute_ratios

gaps = st.one_of(st.none(), st.floats(-0.4, 0.4))
bots = st.lists(st.lists(gaps, min_size=1, max_size=50), min_size=1, max_size=5)
SINGLE = {
    "volatility": ratios.volatility,
    "sharpe_ratio": ratios.sharpe_ratio,
    "sortino_ratio": ratios.sortino_ratio,
    "cagr": ratios.cagr,
    "calmar_ratio": ratios.calmar_ratio,
    "max_drawdown_pct": drawdown.max_drawdown,
    "current_drawdown": drawdown.current_drawdown,
    "max_drawdown_days": drawdown.max_drawdown_days,
    "var_95": var.value_at_risk,
    "cvar_95": var.expected_shortfall,
}


def matrix_of(series: Sequence[Sequence[float | None]]) -> np.ndarray:
    """One row a bot, all ending on the last column."""
    width = max(len(row) for row in series)
    return np.array([[math.nan] * (width - len(row)) + [math.nan if v is None else v for v in row] for row in series])


def reference(returns: Sequence[float | None]) -> dict[str, float | None]:
    """The definitions, word for word, in plain Python; for series without ruin or overflow."""
    values = [value for value in returns if value is not None]
    result: dict[str, float | None] = dict.fromkeys(SINGLE)
    if not values:
        return result
    level, peak, spell = 1.0, 1.0, 0
    deepest, longest, depth = 0.0, 0, 0.0
    first = next(n for n, value in enumerate(returns) if value is not None)
    for value in returns[first:]:
        level *= 1 + (value or 0.0)
        peak = max(peak, level)
        depth = 1 - level / peak if level < peak * (1 - 1e-12) else 0.0
        spell = spell + 1 if depth else 0
        deepest, longest = max(deepest, depth), max(longest, spell)
    result["max_drawdown_pct"], result["current_drawdown"], result["max_drawdown_days"] = deepest, depth, longest
    result["cagr"] = growth = level ** (365 / (len(returns) - first)) - 1
    result["calmar_ratio"] = growth / deepest if deepest else None
    result.update(reference_deviations(values))
    if len(values) >= 30:
        ordered = sorted(values[-250:])
        rank, part = divmod(len(ordered) - 1, 20)
        percentile = ordered[rank] + (ordered[min(rank + 1, len(ordered) - 1)] - ordered[rank]) * part / 20
        tail = [value for value in ordered if value <= percentile]
        result["var_95"], result["cvar_95"] = -percentile, -math.fsum(tail) / len(tail)
    return result


def reference_deviations(values: Sequence[float]) -> dict[str, float | None]:
    count = len(values)
    if count < 2:
        return {}
    mean = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    downside = math.sqrt(math.fsum(min(value, 0) ** 2 for value in values) / count)
    return {
        "volatility": deviation * math.sqrt(365) if deviation >= 1e-12 else 0.0,
        "sharpe_ratio": mean / deviation * math.sqrt(365) if deviation >= 1e-12 else None,
        "sortino_ratio": mean / downside * math.sqrt(365) if downside >= 1e-12 else None,
    }


@settings(deadline=None)
@given(series=bots)
def test_batch_equals_each_bot_alone(series: list[list[float | None]]) -> None:
    result = compute_ratios(matrix_of(series))

    for row, returns in enumerate(series):
        for name, single in SINGLE.items():
            alone = single(returns)
            expected = math.nan if alone is None else alone
            assert getattr(result, name)[row] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), name
        assert result.return_count[row] == sum(value is not None for value in returns)


@settings(deadline=None)
@given(
    returns=st.lists(
        st.one_of(st.none(), st.floats(-0.4, 0.4).map(lambda value: round(value, 5))), min_size=1, max_size=300
    )
)
def test_each_bot_alone_equals_the_plain_reference(returns: list[float | None]) -> None:
    expected = reference(returns)

    for name, single in SINGLE.items():
        value = expected[name]
        if value is None:
            assert single(returns) is None, name
        else:
            assert single(returns) == pytest.approx(value, rel=1e-8, abs=1e-10), name


def test_each_bot_may_have_its_own_risk_free_rate() -> None:
    series = [[0.01, 0.03, -0.01], [0.02, -0.01, 0.02]]

    result = compute_ratios(matrix_of(series), risk_free=np.array([0.001, 0.0]))

    assert result.sharpe_ratio.tolist() == pytest.approx(
        [ratios.sharpe_ratio(series[0], risk_free=0.001), ratios.sharpe_ratio(series[1])], rel=1e-12
    )
    assert result.sortino_ratio.tolist() == pytest.approx(
        [ratios.sortino_ratio(series[0], risk_free=0.001), ratios.sortino_ratio(series[1])], rel=1e-12
    )


def test_a_ruined_bot_does_not_touch_its_neighbours() -> None:
    healthy = [0.01, -0.02, 0.03, 0.01]

    result = compute_ratios(matrix_of([healthy, [0.5, -1.5, None, 0.2], healthy]))

    assert result.cagr[0] == result.cagr[2] == pytest.approx(ratios.cagr(healthy))
    assert result.max_drawdown_pct.tolist() == pytest.approx([0.02, 1.5, 0.02])
    assert math.isnan(result.cagr[1])


def test_no_bots_and_no_days_are_fine() -> None:
    assert compute_ratios(np.empty((0, 5))).sharpe_ratio.shape == (0,)
    assert np.isnan(compute_ratios(np.empty((2, 0))).max_drawdown_pct).all()


def test_a_matrix_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="a return is infinite"):
        compute_ratios(np.array([[0.1, math.inf]]))
    with pytest.raises(ValueError, match="bots x days"):
        compute_ratios(np.array([0.1, 0.2]))
