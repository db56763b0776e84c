"""Value at risk and expected shortfall of one day, historical, at 95 %.

Fractions of equity, positive for a loss; `at_equity` makes money of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np

from analytics.metrics.borders import EXACT, finite, to_money
from analytics.metrics.panel import Matrix, Panel, Vector, only

WINDOW_RETURNS = 250
MINIMUM_RETURNS = 30
TAIL_ONE_IN = 20  # 5 %; a division by 20 keeps whole ranks whole, a product with 0.05 does not


@dataclass(frozen=True)
class TailLosses:
    """Tail losses of many bots, as fractions of equity, positive for a loss; NaN below 30 returns."""

    var_95: Vector
    cvar_95: Vector


def tail_losses(panel: Panel) -> TailLosses:
    """Return value at risk and expected shortfall of each bot; see the singular functions."""
    window = np.sort(_last_returns(panel), axis=1)  # NaN sorts to the end
    count = (~np.isnan(window)).sum(axis=1)
    enough = count >= MINIMUM_RETURNS

    rank = np.maximum(count - 1, 0) / TAIL_ONE_IN
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    rows = np.arange(window.shape[0])
    percentile = window[rows, below] + (window[rows, above] - window[rows, below]) * (rank - below)

    in_tail = window <= percentile[:, None]
    tail_mean = np.where(in_tail, window, 0.0).sum(axis=1) / np.maximum(in_tail.sum(axis=1), 1)
    # 0.0 - x and not -x: the opposite of 0.0 is to be 0.0, not -0.0.
    return TailLosses(
        var_95=np.where(enough, 0.0 - percentile, np.nan),
        cvar_95=np.where(enough, 0.0 - tail_mean, np.nan),
    )


def _last_returns(panel: Panel) -> Matrix:
    """Return the last 250 returns of each bot, in any order, NaN where there are fewer."""
    returns = np.where(panel.valid, panel.values, np.nan)
    window = returns[:, -WINDOW_RETURNS:].copy()
    # Undefined days between returns are rare: only for those rows does the window reach further back.
    for row in np.flatnonzero(panel.count < panel.calendar_days):
        present = returns[row][panel.valid[row]][-WINDOW_RETURNS:]
        window[row] = np.nan
        window[row, : len(present)] = present
    return window


def value_at_risk(returns: Sequence[float | None]) -> float | None:
    """Return the one-day value at risk at 95 %, historical.

    returns: one return a UTC day, oldest first, as fractions; the last 250 count.

    The result is a fraction of equity, positive for a loss: minus the 5th percentile, interpolated linearly between
    order statistics at rank (n - 1) * 5 %. It is negative when even that day was a gain. It is None below 30
    returns. Raises ValueError if a return is not finite.
    Source: J. C. Hull, "Options, Futures, and Other Derivatives", chapter on value at risk, historical simulation;
    percentile: R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", 1996, definition 7.
    """
    return only(tail_losses(Panel.of_one(returns)).var_95)


def expected_shortfall(returns: Sequence[float | None]) -> float | None:
    """Return the one-day expected shortfall (CVaR) at 95 %, historical.

    returns: one return a UTC day, oldest first, as fractions; the last 250 count.

    The result is a fraction of equity, positive for a loss: minus the mean of the returns at or below the 5th
    percentile of `value_at_risk`. It is None below 30 returns. Raises ValueError if a return is not finite.
    Source: R. T. Rockafellar and S. Uryasev, "Optimization of Conditional Value-at-Risk", Journal of Risk 2, 2000.
    """
    return only(tail_losses(Panel.of_one(returns)).cvar_95)


def at_equity(fraction: float | None, equity: Decimal) -> Decimal | None:
    """Return a tail loss as money at this equity, to 18 decimals, positive for a loss.

    None stays None, and there is nothing to lose at an equity of zero or less: None too.
    Raises ValueError if the equity is not finite.
    """
    if finite(equity, "equity") <= 0 or fraction is None:
        return None
    with localcontext(EXACT):
        return to_money(Decimal(fraction) * equity)
