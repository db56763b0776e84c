"""From what a bot's account showed each day to flow-adjusted daily returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from analytics.metrics.borders import EXACT, finite
from analytics.metrics.exposure import daily_pnl
from analytics.metrics.panel import Matrix, Vector

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayEquity:
    """One UTC day of an account: its last equity (None: no balance that day) and deposits minus withdrawals."""

    day: date
    equity: Decimal | None
    flow: Decimal

    def __post_init__(self) -> None:
        finite(self.flow, "flow")
        if self.equity is not None:
            finite(self.equity, "equity")


@dataclass(frozen=True, slots=True)
class DayReturn:
    """One UTC day as the ratios see it; `daily_return` is a fraction, None when it is undefined."""

    day: date
    starting_equity: Decimal
    ending_equity: Decimal
    daily_pnl: Decimal
    daily_return: Decimal | None
    is_carried: bool


def complete_series(
    *, first_day: date, last_day: date, equity: Mapping[date, Decimal], flows: Mapping[date, Decimal]
) -> list[DayEquity]:
    """Return one DayEquity for each calendar day from first_day to last_day, both included.

    equity: last equity of the UTC days that have a balance. flows: deposits minus withdrawals of the days that
    have any, without the starting capital. Days after last_day are left out.
    Raises ValueError for a day before first_day, a last_day before it, or a number that is not finite.
    """
    if last_day < first_day:
        raise ValueError(f"last_day {last_day} is before first_day {first_day}")
    earliest = min(equity.keys() | flows.keys(), default=first_day)
    if earliest < first_day:
        raise ValueError(f"there is equity or a flow on {earliest}, before first_day {first_day}")
    days = [first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1)]
    return [DayEquity(day=day, equity=equity.get(day), flow=flows.get(day, Decimal(0))) for day in days]


def daily_returns(series: Sequence[DayEquity], *, starting_equity: Decimal) -> list[DayReturn]:
    """Return the flow-adjusted (time-weighted) return of each day.

    series: one entry for each calendar day, oldest first. starting_equity: the equity before the first day.

    return = (equity - flow) / equity of the day before - 1, a fraction. A day without a balance carries the last
    equity plus its own flow (a deposit is no profit on that day either), so its return is 0. The return is None
    when the equity before is zero or less. Raises ValueError for a number that is not finite, or days that do not
    follow each other. Source: GIPS, time-weighted return with daily valuation, flows at the end of the day.
    """
    previous = finite(starting_equity, "starting_equity")
    result: list[DayReturn] = []
    with localcontext(EXACT):
        for entry in series:
            if result and entry.day != result[-1].day + ONE_DAY:
                raise ValueError(f"{entry.day} does not follow {result[-1].day}")
            closing = previous + entry.flow if entry.equity is None else entry.equity
            result.append(
                DayReturn(
                    day=entry.day,
                    starting_equity=previous,
                    ending_equity=closing,
                    daily_pnl=daily_pnl(starting_equity=previous, ending_equity=closing, flow=entry.flow),
                    daily_return=(closing - entry.flow) / previous - 1 if previous > 0 else None,
                    is_carried=entry.equity is None,
                )
            )
            previous = closing
    return result


def compute_returns_matrix(
    *, equity: Matrix, flows: Matrix, starting_equity: Vector, first_column: NDArray[np.int64]
) -> Matrix:
    """Return `daily_returns` of many bots at once, as floats: one row a bot, one column a calendar day.

    equity: last equity of the day, NaN without a balance. flows: deposits minus withdrawals, 0 without.
    starting_equity: before the first day, one a bot. first_column: the column of each bot's first day.

    NaN stands before the first day and where the return is undefined. Raises ValueError for infinities, and for
    NaN in flows or starting_equity.
    """
    if np.isinf(equity).any() or not np.isfinite(flows).all() or not np.isfinite(starting_equity).all():
        raise ValueError("equity, flows and starting_equity must be finite")
    columns = np.arange(equity.shape[1])
    begun = columns >= first_column[:, None]
    flow = np.where(begun, flows, 0.0)
    missing = np.isnan(equity) | ~begun

    # Carrying "equity + flows since" is carrying the equity with all flows so far taken out.
    flows_so_far = np.cumsum(flow, axis=1)
    level = np.column_stack([starting_equity, np.where(missing, np.nan, equity - flows_so_far)])
    last_known = np.maximum.accumulate(np.where(np.isnan(level), 0, np.arange(level.shape[1])), axis=1)
    carried = np.take_along_axis(level, last_known, axis=1)[:, 1:] + flows_so_far
    closing = np.where(missing, carried, equity)
    opening = np.column_stack([starting_equity, closing[:, :-1]])

    defined = begun & (opening > 0.0)
    result = (closing - flow) / np.where(defined, opening, np.nan) - 1.0
    return np.where(defined & missing, 0.0, result)
