"""Drawdown: how far and how long a bot lies below its best, with deposits and withdrawals taken out.

Fractions come from the curve that starts at 1.0 before the first day, so that a loss on the first day counts.
Money comes from the running sum of daily P&L, which is the same curve in the account's currency.
All drawdowns are positive: 0.05 is 5 % below the peak.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np

from analytics.metrics.borders import EXACT, finite
from analytics.metrics.panel import RESOLUTION, Panel, Vector, only, resolved


@dataclass(frozen=True)
class Drawdowns:
    """Drawdowns of many bots, one number a bot; NaN without a return."""

    deepest: Vector
    current: Vector
    longest_days: Vector


def drawdowns(panel: Panel) -> Drawdowns:
    """Return the deepest, the current and the longest drawdown of each bot; see the singular functions."""
    curve = panel.curve
    peak = np.maximum(np.maximum.accumulate(curve, axis=1), 1.0)
    with np.errstate(invalid="ignore"):
        depth = 1.0 - curve / peak
    day_numbers = np.arange(1, curve.shape[1] + 1, dtype=np.int32)
    last_day_at_peak = np.maximum.accumulate(np.where(depth >= RESOLUTION, 0, day_numbers), axis=1)
    longest = (day_numbers - last_day_at_peak).max(axis=1)
    # A curve that outgrew the floats makes its depth NaN; so is everything that follows from it.
    deepest = np.where(panel.count > 0, resolved(depth.max(axis=1)), np.nan)
    unknown = np.isnan(deepest)
    return Drawdowns(
        deepest=deepest,
        current=np.where(unknown, np.nan, resolved(depth[:, -1])),
        longest_days=np.where(unknown, np.nan, longest),
    )


def max_drawdown(returns: Sequence[float | None]) -> float | None:
    """Return the deepest drawdown of a series of simple daily returns.

    returns: one return a UTC day, oldest first, as fractions.

    The result is a positive fraction of the peak: max(1 - curve / running peak), where the curve is the product
    of (1 + return) and the peak is at least the 1.0 before the first day. It is 0 without a loss, 1 after a total
    loss and more than 1 for a debt. It is None without a return. Raises ValueError if a return is not finite.
    Source: M. Magdon-Ismail and A. Atiya, "Maximum Drawdown", Risk 17(10), 2004.
    """
    return only(drawdowns(Panel.of_one(returns)).deepest)


def current_drawdown(returns: Sequence[float | None]) -> float | None:
    """Return how far the last day lies below the running peak; units and errors as for `max_drawdown`."""
    return only(drawdowns(Panel.of_one(returns)).current)


def max_drawdown_days(returns: Sequence[float | None]) -> int | None:
    """Return the longest spell below a peak, in days.

    returns: one return a UTC day, oldest first, as fractions.

    The result counts the days in a row that closed below the running peak, up to the last day if the peak has
    not been reached again. It need not be the spell of the deepest drawdown. It is None without a return.
    Raises ValueError if a return is not finite.
    Source: our own definition; the calendar days from the peak to the last day under water.
    """
    longest = only(drawdowns(Panel.of_one(returns)).longest_days)
    return None if longest is None else int(longest)


def max_drawdown_money(daily_pnls: Iterable[Decimal]) -> Decimal:
    """Return the deepest fall of the running sum of daily P&L, in the account's currency.

    daily_pnls: P&L of each UTC day, oldest first, without deposits and withdrawals.

    The result is exact and positive: max(running peak - running sum), where the peak is at least the 0 before the
    first day. It is 0 without a loss or without days. It can fall on other days than the deepest fraction.
    Raises ValueError if an amount is not finite.
    Source: as `max_drawdown`, in money.
    """
    deepest = level = peak = Decimal(0)
    with localcontext(EXACT):
        for daily_pnl in daily_pnls:
            level += finite(daily_pnl, "daily_pnl")
            peak = max(peak, level)
            deepest = max(deepest, peak - level)
    return deepest
