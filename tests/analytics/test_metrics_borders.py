"""Where Decimals become floats and back: rounding, range, zero, days."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.metrics.borders import to_money, to_ratio, total, utc_day
from analytics.metrics.drawdown import max_drawdown
from analytics.metrics.ratios import sharpe_ratio


def test_a_ratio_is_rounded_half_to_even_to_twelve_decimals() -> None:
    assert str(to_ratio(Decimal("0.1234567890125"))) == "0.123456789012"
    assert str(to_ratio(Decimal("0.1234567890135"))) == "0.123456789014"
    assert str(to_ratio(0.5)) == "0.500000000000"
    assert to_ratio(None) is None


def test_money_is_rounded_half_to_even_to_eighteen_decimals() -> None:
    assert to_money(Decimal("1.0000000000000000005")) == Decimal(1)
    assert to_money(Decimal("1.0000000000000000015")) == Decimal("1.000000000000000002")


def test_a_rounded_tiny_loss_is_a_plain_zero() -> None:
    assert str(to_ratio(-1e-20)) == "0E-12"
    assert str(to_money(Decimal("-1e-30"))) == "0E-18"


def test_a_ratio_that_would_round_past_its_column_is_undefined() -> None:
    # numeric(24,12) ends at 999999999999.999999999999; half a unit above it rounds to the even 10^12.
    last = Decimal("999999999999.999999999999")

    assert to_ratio(last) == last
    assert to_ratio(-last) == -last
    assert to_ratio(last + Decimal("4e-13")) == last
    assert to_ratio(Decimal("999999999999.9999999999995")) is None
    assert to_ratio(-(10.0**300)) is None


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="ratio is not a finite number"):
        to_ratio(Decimal(bad))
    with pytest.raises(ValueError, match="ratio is not a finite number"):
        to_ratio(float(bad))
    with pytest.raises(ValueError, match="amount is not a finite number"):
        to_money(Decimal(bad))


def test_a_day_is_the_utc_day() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert utc_day(datetime(2026, 3, 2, 8, 59, tzinfo=tokyo)) == date(2026, 3, 1)
    assert utc_day(datetime(2026, 3, 2, 9, 0, tzinfo=tokyo)) == date(2026, 3, 2)
    assert utc_day(datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)) == date(2026, 3, 1)
    with pytest.raises(ValueError, match="time has no zone"):
        utc_day(datetime(2026, 3, 1))  # noqa: DTZ001 - the naive time is the point


def test_what_is_larger_than_rounding_is_real() -> None:
    assert sharpe_ratio([0.01, 0.01 + 1e-10]) is not None
    assert max_drawdown([-1e-10]) == pytest.approx(1e-10, rel=1e-5)


@settings(deadline=None)
@given(values=st.lists(st.decimals(min_value="-1e40", max_value="1e40", places=36), max_size=10))
def test_a_sum_loses_nothing(values: list[Decimal]) -> None:
    assert Fraction(total(values)) == sum(map(Fraction, values))
