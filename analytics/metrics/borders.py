"""The borders of the package: Decimals come in and go out here, floats live only between."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext

# The widest money column is numeric(76,36): its square has 152 digits, and Python's default of 28 would round a sum.
EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])

RATIO_QUANTUM = Decimal("1e-12")
RATIO_LIMIT = Decimal("1e12")
MONEY_QUANTUM = Decimal("1e-18")


def finite(value: Decimal, name: str) -> Decimal:
    """Return the value itself. Raises ValueError, naming it, for NaN and infinities."""
    if not value.is_finite():
        raise ValueError(f"{name} is not a finite number: {value}")
    return value


def total(values: Iterable[Decimal]) -> Decimal:
    """Return the exact sum; 0 for no values."""
    with localcontext(EXACT):
        return sum(values, Decimal(0))


def to_ratio(value: Decimal | float | None) -> Decimal | None:
    """Return a ratio as the database keeps it, numeric(24,12), rounded half to even.

    None stays None. A value of 10^12 or more does not fit the column and is None too: a growth of 10 % in one
    day is a yearly growth of 10^15, which says nothing. Raises ValueError if the value is not finite.
    """
    if value is None:
        return None
    exact = finite(Decimal(value), "ratio")
    with localcontext(EXACT):
        if abs(exact) >= RATIO_LIMIT - RATIO_QUANTUM / 2:
            return None
        # Adding zero turns the "-0" of a rounded tiny loss into "0".
        return exact.quantize(RATIO_QUANTUM) + 0


def to_money(value: Decimal) -> Decimal:
    """Return an amount that a division made, rounded half to even to 18 decimals."""
    with localcontext(EXACT):
        return finite(value, "amount").quantize(MONEY_QUANTUM) + 0


def utc_day(at: datetime) -> date:
    """Return the UTC day in which a moment lies. Raises ValueError for a naive time."""
    if at.utcoffset() is None:
        raise ValueError(f"time has no zone: {at.isoformat()}")
    return at.astimezone(UTC).date()
