"""The months and days that native partitions hold, in UTC."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

MONTHS_AHEAD = 2
DAYS_AHEAD = 14
Unit = Literal["month", "day"]


class Period(NamedTuple):
    """One UTC month or day; `end` is the first moment of the next one."""

    start: datetime
    end: datetime
    suffix: str


def unit_of(interval: str) -> Unit:
    """Return what one native partition holds where a chunk of TimescaleDB holds an interval such as `3 months`.

    Raises ValueError for an interval that is no number of months or days.
    """
    number, _, word = interval.partition(" ")
    for unit in ("month", "day"):
        if number.isdecimal() and word in (unit, f"{unit}s"):
            return unit
    raise ValueError(f"Time-series tables are split by months or days, not by {interval!r}.")


def period_of(unit: Unit, moment: datetime) -> Period:
    """Return the month or day that a moment lies in."""
    moment = moment.astimezone(UTC)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "month":
        first = day.replace(day=1)
        # No month has 32 days, and the 32nd day lies in the next one.
        return Period(first, (first + timedelta(days=31)).replace(day=1), f"{first:y%Ym%m}")
    return Period(day, day + timedelta(days=1), f"{day:y%Ym%md%d}")


def periods_ahead(unit: Unit, now: datetime) -> Iterator[Period]:
    """Yield the period of a moment and those that are made ahead: two months, or fourteen days."""
    period = period_of(unit, now)
    yield period
    for _ in range(MONTHS_AHEAD if unit == "month" else DAYS_AHEAD):
        period = period_of(unit, period.end)
        yield period
