"""Exposure, leverage and daily P&L: by hand, at the edges, and as invariants."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.metrics.exposure import ExposureSample, ExposureStats, daily_pnl, exposure, exposure_stats, leverage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

amounts = st.decimals(min_value=-1000, max_value=1000, places=8)
prices = st.decimals(min_value="0.01", max_value=100000, places=8)


def sample(exposure: str, equity: str, open_positions: int, *, minutes: int = 0) -> ExposureSample:
    return ExposureSample(NOON + timedelta(minutes=minutes), Decimal(exposure), Decimal(equity), open_positions)


def test_exposure_by_hand() -> None:
    # a long of 2 at 100 and a short of 0.5 at 60: 200 + 30; they do not offset each other
    assert exposure([(Decimal(2), Decimal(100)), (Decimal("-0.5"), Decimal(60))]) == 230


def test_leverage_by_hand() -> None:
    assert leverage(exposure=Decimal(230), equity=Decimal(300)) == Decimal("0.766666666667")


def test_daily_pnl_by_hand() -> None:
    # 1000 became 1260, of which 210 came from outside
    assert daily_pnl(starting_equity=Decimal(1000), ending_equity=Decimal(1260), flow=Decimal(210)) == 50


def test_exposure_stats_by_hand() -> None:
    # leverage 0, 0.5, 2; mean 2.5 / 3; largest 2. Worth of positions 0 + 500 + 1600 over 0 + 1 + 2 of them = 700.
    samples = [sample("0", "1000", 0), sample("500", "1000", 1, minutes=5), sample("1600", "800", 2, minutes=10)]

    result = exposure_stats(samples)

    assert result == ExposureStats(
        avg_leverage=Decimal("0.833333333333"),
        max_leverage=Decimal(2),
        avg_position_size=Decimal(700),
        max_exposure=Decimal(1600),
    )


def test_nothing_open_is_no_exposure() -> None:
    assert exposure([]) == 0
    assert leverage(exposure=Decimal(0), equity=Decimal(5)) == 0


@pytest.mark.parametrize("equity", ["0", "-1"])
def test_leverage_is_undefined_without_equity(equity: str) -> None:
    assert leverage(exposure=Decimal(10), equity=Decimal(equity)) is None


def test_leverage_too_large_for_its_column_is_undefined() -> None:
    assert leverage(exposure=Decimal(10**6), equity=Decimal("0.000001")) is None


def test_a_day_without_samples_is_undefined() -> None:
    nothing = ExposureStats(avg_leverage=None, max_leverage=None, avg_position_size=None, max_exposure=None)

    assert exposure_stats([]) == nothing


def test_samples_without_equity_or_positions_leave_out_only_what_needs_them() -> None:
    flat = exposure_stats([sample("0", "1000", 0)])
    broke = exposure_stats([sample("10", "-1", 1), sample("10", "100", 1)])

    assert flat == ExposureStats(
        avg_leverage=Decimal(0), max_leverage=Decimal(0), avg_position_size=None, max_exposure=Decimal(0)
    )
    assert broke == ExposureStats(
        avg_leverage=Decimal("0.1"),
        max_leverage=Decimal("0.1"),
        avg_position_size=Decimal(10),
        max_exposure=Decimal(10),
    )


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_finite_is_refused(bad: str) -> None:
    one, value = Decimal(1), Decimal(bad)

    with pytest.raises(ValueError, match="size is not a finite number"):
        exposure([(value, one)])
    with pytest.raises(ValueError, match="price is not a finite number"):
        exposure([(one, value)])
    with pytest.raises(ValueError, match="exposure is not a finite number"):
        leverage(exposure=value, equity=one)
    with pytest.raises(ValueError, match="equity is not a finite number"):
        leverage(exposure=one, equity=value)
    with pytest.raises(ValueError, match="starting_equity is not a finite number"):
        daily_pnl(starting_equity=value, ending_equity=one, flow=one)
    with pytest.raises(ValueError, match="ending_equity is not a finite number"):
        daily_pnl(starting_equity=one, ending_equity=value, flow=one)
    with pytest.raises(ValueError, match="flow is not a finite number"):
        daily_pnl(starting_equity=one, ending_equity=one, flow=value)
    with pytest.raises(ValueError, match="equity is not a finite number"):
        sample("1", bad, 1)


def test_a_sample_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="exposure is negative"):
        sample("-1", "100", 1)
    with pytest.raises(ValueError, match="open_positions is negative"):
        sample("1", "100", -1)
    with pytest.raises(ValueError, match="time has no zone"):
        ExposureSample(datetime(2026, 3, 1), Decimal(1), Decimal(1), 1)  # noqa: DTZ001 - the naive time is the point


@settings(deadline=None)
@given(positions=st.lists(st.tuples(amounts, prices), max_size=10), price=prices)
def test_exposure_ignores_side_and_grows_with_every_position(
    positions: list[tuple[Decimal, Decimal]], price: Decimal
) -> None:
    mirrored = [(-size, at) for size, at in positions]

    assert exposure(mirrored) == exposure(positions)
    assert exposure([*positions, (Decimal(1), price)]) == exposure(positions) + price


@settings(deadline=None)
@given(held=prices, equity=prices)
def test_leverage_is_the_exact_fraction_rounded_to_twelve_decimals(held: Decimal, equity: Decimal) -> None:
    result = leverage(exposure=held, equity=equity)

    assert result is not None
    assert abs(Fraction(result) - Fraction(held) / Fraction(equity)) <= Fraction(1, 2 * 10**12)


@settings(deadline=None)
@given(start=amounts, end=amounts, flow=amounts, more=amounts)
def test_a_deposit_is_no_profit(start: Decimal, end: Decimal, flow: Decimal, more: Decimal) -> None:
    without = daily_pnl(starting_equity=start, ending_equity=end, flow=flow)

    assert daily_pnl(starting_equity=start, ending_equity=end + more, flow=flow + more) == without


@settings(deadline=None)
@given(samples=st.lists(st.tuples(prices, prices, st.integers(1, 5)), min_size=1, max_size=10))
def test_a_mean_never_exceeds_its_maximum(samples: list[tuple[Decimal, Decimal, int]]) -> None:
    result = exposure_stats([ExposureSample(NOON, held, equity, count) for held, equity, count in samples])

    assert result.avg_leverage is not None
    assert result.max_leverage is not None
    assert result.avg_position_size is not None
    assert result.max_exposure is not None
    assert 0 <= result.avg_leverage <= result.max_leverage
    assert 0 <= result.avg_position_size <= result.max_exposure
