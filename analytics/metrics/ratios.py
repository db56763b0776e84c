"""Ratios of a series of daily returns: volatility, Sharpe, Sortino, CAGR, Calmar.

The plural functions take a Panel of many bots and return one number a bot, NaN for undefined; the singular ones
take one bot's returns, None for an undefined day, and return None for undefined. Both are the same computation.
A result too large for a float is undefined too.
"""

from collections.abc import Sequence

import numpy as np

from analytics.metrics.drawdown import drawdowns
from analytics.metrics.panel import DAYS_PER_YEAR, Panel, Vector, checked_rate, only, quotient, resolved

YEAR_ROOT = float(np.sqrt(DAYS_PER_YEAR))


def volatilities(panel: Panel) -> Vector:
    """Return each bot's annualised volatility; see `volatility`."""
    return panel.deviation * YEAR_ROOT


def volatility(returns: Sequence[float | None]) -> float | None:
    """Return the annualised volatility of a series of simple daily returns.

    returns: one return a UTC day, oldest first, as fractions (0.01 is +1 %).

    The result is a fraction a year: sample standard deviation (n - 1) * sqrt(365). Equal returns have
    volatility 0. It is None below two returns. Raises ValueError if a return is not finite.
    Source: J. C. Hull, "Options, Futures, and Other Derivatives", chapter on estimating volatility from
    historical data, with 365 days because crypto markets do not close.
    """
    return only(volatilities(Panel.of_one(returns)))


def sharpe_ratios(panel: Panel, *, risk_free: float | Vector = 0.0) -> Vector:
    """Return each bot's annualised Sharpe ratio; `risk_free` may be one rate or one a bot. See `sharpe_ratio`."""
    return quotient((panel.mean - checked_rate(risk_free)) * YEAR_ROOT, panel.deviation)


def sharpe_ratio(returns: Sequence[float | None], *, risk_free: float = 0.0) -> float | None:
    """Return the annualised Sharpe ratio of a series of simple daily returns.

    returns: one return a UTC day, oldest first, as fractions (0.01 is +1 %).
    risk_free: risk-free return per day, as a fraction.

    The result has no unit: mean(excess) / sample standard deviation (n - 1) * sqrt(365).
    It is None when it is undefined: fewer than two returns, or all of them equal (to 12 decimals).
    Raises ValueError if a return or the rate is not finite.
    Source: W. F. Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21(1), 1994.
    """
    return only(sharpe_ratios(Panel.of_one(returns), risk_free=risk_free))


def sortino_ratios(panel: Panel, *, risk_free: float | Vector = 0.0) -> Vector:
    """Return each bot's annualised Sortino ratio; `risk_free` may be one rate or one a bot. See `sortino_ratio`."""
    rate = checked_rate(risk_free)
    with np.errstate(over="ignore", invalid="ignore"):
        below = np.where(panel.valid, np.minimum(panel.values - rate[:, None], 0.0), 0.0)
        squares = np.square(below).sum(axis=1)
        downside = resolved(np.sqrt(squares / np.where(panel.count > 1, panel.count, np.nan)))
    return quotient((panel.mean - rate) * YEAR_ROOT, downside)


def sortino_ratio(returns: Sequence[float | None], *, risk_free: float = 0.0) -> float | None:
    """Return the annualised Sortino ratio of a series of simple daily returns.

    returns: one return a UTC day, oldest first, as fractions (0.01 is +1 %).
    risk_free: risk-free return per day, as a fraction; it is also the return below which a day counts as bad.

    The result has no unit: mean(excess) / sqrt(sum(min(excess, 0)^2) / n) * sqrt(365), where n is the number of
    all returns, not only of the bad ones.
    It is None when it is undefined: fewer than two returns, or no day below the risk-free rate.
    Raises ValueError if a return or the rate is not finite.
    Source: F. A. Sortino and L. N. Price, "Performance Measurement in a Downside Risk Framework", Journal of
    Investing 3(3), 1994.
    """
    return only(sortino_ratios(Panel.of_one(returns), risk_free=risk_free))


def cagrs(panel: Panel) -> Vector:
    """Return each bot's compound annual growth rate; see `cagr`."""
    # Without a return the growth is unknown: it must not stay 1.0, because 1.0 to an unknown power is 1.0.
    growth = np.where((panel.count > 0) & (panel.curve[:, -1] >= 0.0), panel.curve[:, -1], np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.power(growth, DAYS_PER_YEAR / np.maximum(panel.calendar_days, 1)) - 1.0
    return np.where(np.isfinite(result), result, np.nan)


def cagr(returns: Sequence[float | None]) -> float | None:
    """Return the compound annual growth rate of a series of simple daily returns.

    returns: one return a UTC day, oldest first, as fractions; an undefined day (None) still counts as a day,
    except before the first return.

    The result is a fraction a year: product(1 + return) ^ (365 / calendar days) - 1; a total loss gives -1.
    It is None without a return, and when more than everything was lost. A few good days give absurdly large
    figures: that is the definition. Raises ValueError if a return is not finite.
    Source: Global Investment Performance Standards (GIPS), annualised time-weighted return.
    """
    return only(cagrs(Panel.of_one(returns)))


def calmar_ratios(cagr_by_bot: Vector, max_drawdown_by_bot: Vector) -> Vector:
    """Return each bot's Calmar ratio from its growth rate and its deepest drawdown; see `calmar_ratio`."""
    return quotient(cagr_by_bot, max_drawdown_by_bot)


def calmar_ratio(returns: Sequence[float | None]) -> float | None:
    """Return the Calmar ratio of a series of simple daily returns.

    returns: one return a UTC day, oldest first, as fractions.

    The result has no unit: CAGR / deepest drawdown as a positive fraction, both over the whole series (not over
    the 36 months of the original). It is None without a drawdown or where CAGR is None.
    Raises ValueError if a return is not finite.
    Source: T. W. Young, "Calmar Ratio: A Smoother Tool", Futures, October 1991.
    """
    panel = Panel.of_one(returns)
    return only(calmar_ratios(cagrs(panel), drawdowns(panel).deepest))
