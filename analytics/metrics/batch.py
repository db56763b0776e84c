"""All ratios of many bots in one pass over one matrix of returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.metrics.drawdown import drawdowns
from analytics.metrics.panel import Matrix, Panel, Vector
from analytics.metrics.ratios import cagrs, calmar_ratios, sharpe_ratios, sortino_ratios, volatilities
from analytics.metrics.var import tail_losses


@dataclass(frozen=True)
class RatioArrays:
    """One number a bot in each array, NaN for undefined; units as in the singular functions."""

    return_count: NDArray[np.int64]
    volatility: Vector
    sharpe_ratio: Vector
    sortino_ratio: Vector
    cagr: Vector
    calmar_ratio: Vector
    max_drawdown_pct: Vector
    current_drawdown: Vector
    max_drawdown_days: Vector
    var_95: Vector
    cvar_95: Vector


def compute_ratios(returns: Matrix, *, risk_free: float | Vector = 0.0) -> RatioArrays:
    """Return every ratio of every bot.

    returns: bots x days, simple daily returns as fractions, oldest first, all rows ending on their last day; NaN
    before a bot's first day and where a return is undefined. risk_free: per day, one for all or one a bot.

    Each number equals what the singular function gives for that row. Raises ValueError for infinities.
    """
    panel = Panel.of_matrix(returns)
    growth = cagrs(panel)
    drawdown = drawdowns(panel)
    tail = tail_losses(panel)
    return RatioArrays(
        return_count=panel.count,
        volatility=volatilities(panel),
        sharpe_ratio=sharpe_ratios(panel, risk_free=risk_free),
        sortino_ratio=sortino_ratios(panel, risk_free=risk_free),
        cagr=growth,
        calmar_ratio=calmar_ratios(growth, drawdown.deepest),
        max_drawdown_pct=drawdown.deepest,
        current_drawdown=drawdown.current,
        max_drawdown_days=drawdown.longest_days,
        var_95=tail.var_95,
        cvar_95=tail.cvar_95,
    )
