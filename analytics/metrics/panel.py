"""Daily returns of many bots as one matrix: the shape on which every ratio is computed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

DAYS_PER_YEAR = 365

# Results are kept to 12 decimals, so a smaller deviation or drawdown is rounding. Without this, a curve that
# comes back to its peak stays "under water" by 1e-16, and equal returns have a Sharpe ratio of 10^15.
RESOLUTION = 1e-12


@dataclass(frozen=True)
class Panel:
    """Simple daily returns, one row a bot, one column a day, oldest first.

    values: returns as fractions, 0.0 where there is none.
    valid: True where there is a return. A False before the first True is a day before the bot began; one
    between is a day whose return is undefined, which still counts as a calendar day.
    """

    values: Matrix
    valid: NDArray[np.bool_]

    @classmethod
    def of_matrix(cls, returns: Matrix) -> Self:
        """Read a matrix of returns in which NaN stands for "none". Raises ValueError for infinities."""
        matrix = np.asarray(returns, dtype=np.float64)
        if matrix.ndim != 2:
            raise ValueError(f"returns must be a matrix of bots x days, not of {matrix.ndim} dimensions")
        if np.isinf(matrix).any():
            raise ValueError("a return is infinite")
        if matrix.shape[1] == 0:
            matrix = np.full((matrix.shape[0], 1), np.nan)
        valid = ~np.isnan(matrix)
        return cls(values=np.where(valid, matrix, 0.0), valid=valid)

    @classmethod
    def of_one(cls, returns: Sequence[float | None]) -> Self:
        """Read one bot's returns, None for an undefined day. Raises ValueError for NaN and infinities."""
        if any(value is not None and not math.isfinite(value) for value in returns):
            raise ValueError("a return is not a finite number")
        row = [np.nan if value is None else value for value in returns]
        return cls.of_matrix(np.array([row], dtype=np.float64))

    @cached_property
    def count(self) -> NDArray[np.int64]:
        """How many returns each bot has."""
        counts: NDArray[np.int64] = self.valid.sum(axis=1, dtype=np.int64)
        return counts

    @cached_property
    def calendar_days(self) -> NDArray[np.int64]:
        """Days from each bot's first return to the last column, both included; 0 without a return."""
        columns = self.valid.shape[1]
        return np.where(self.count > 0, columns - self.valid.argmax(axis=1), 0)

    @cached_property
    def mean(self) -> Vector:
        """Mean return of each bot; NaN without a return."""
        with np.errstate(over="ignore", invalid="ignore"):
            means: Vector = self.values.sum(axis=1) / np.where(self.count > 0, self.count, np.nan)
        return means

    @cached_property
    def deviation(self) -> Vector:
        """Sample standard deviation (n - 1) of each bot's returns; 0 when rounding, NaN below two returns."""
        with np.errstate(over="ignore", invalid="ignore"):
            centred = np.where(self.valid, self.values - self.mean[:, None], 0.0)
            squares = np.square(centred).sum(axis=1)
            return resolved(np.sqrt(squares / np.where(self.count > 1, self.count - 1, np.nan)))

    @cached_property
    def curve(self) -> Matrix:
        """What 1.0 became by the end of each day, all returns reinvested.

        A day without a return changes nothing. A curve that has reached zero or less stays there: what is
        gone cannot grow again, and a deposit afterwards is new money.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            curve: Matrix = np.cumprod(1.0 + self.values, axis=1, dtype=np.float64)
        ruined = curve <= 0.0
        for row in np.flatnonzero(ruined.any(axis=1)):
            day = int(ruined[row].argmax())
            curve[row, day:] = curve[row, day]
        return curve


def checked_rate(risk_free: float | Vector) -> Vector:
    """Return a daily rate as an array, of one for all bots or of one a bot. Raises ValueError if it is not finite."""
    rate = np.atleast_1d(np.asarray(risk_free, dtype=np.float64))
    if not np.isfinite(rate).all():
        raise ValueError("the risk-free rate is not a finite number")
    return rate


def resolved(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values with those below the resolution as zero and infinities as NaN."""
    return np.where(np.isinf(values), np.nan, np.where(values < RESOLUTION, 0.0, values))


def quotient(numerator: Vector, denominator: Vector) -> Vector:
    """Divide; NaN where the denominator is zero or the result is too large for a float."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = numerator / np.where(denominator == 0.0, np.nan, denominator)
    return np.where(np.isfinite(result), result, np.nan)


def only(values: Vector) -> float | None:
    """Return the single element of a one-bot result, None for NaN."""
    value = float(values[0])
    return None if np.isnan(value) else value
