"""The canonical set: every metric of one bot and one UTC day, under one definition id.

Which columns speak of what:

* of the day: equity, P&L and return of that UTC day; counts, sums, averages, win rate, profit factor and holding
  times of the trades whose exit_time lies in it; leverage and exposure of its samples;
* of the whole history, from the bot's first day to the end of that day: volatility, Sharpe, Sortino, CAGR,
  Calmar, drawdowns; value at risk over the last 250 returns; SQN, expectancy, payoff ratio and streaks over all
  trades closed so far.

Money is positive for a gain and negative for a loss (so gross_profit + gross_loss = net_profit); drawdowns and
value at risk are positive for a loss. Shares are fractions. Undefined is None. Sums of money are exact, divided
money has 18 decimals, ratios have 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from analytics.metrics import trades as statistics
from analytics.metrics.batch import RatioArrays, compute_ratios
from analytics.metrics.borders import to_ratio
from analytics.metrics.drawdown import max_drawdown_money
from analytics.metrics.exposure import ExposureStats, exposure_stats
from analytics.metrics.inputs import DEFINITION, DayInputs, inputs_hash
from analytics.metrics.panel import Matrix, only
from analytics.metrics.returns import DayReturn, complete_series, daily_returns
from analytics.metrics.trades import ClosedTrade
from analytics.metrics.var import at_equity

__all__ = ["DEFINITION", "DayInputs", "DayMetrics", "ProvisionalReason", "compute_day", "compute_days", "inputs_hash"]


class ProvisionalReason(StrEnum):
    """Why a day's figures are to be read with care."""

    MISSING_BALANCE = "missing_balance"  # a day of the history has no balance and carries the one before
    TOO_FEW_RETURNS = "too_few_returns"  # fewer than two returns: no ratio can be computed
    UNDEFINED_RETURN = "undefined_return"  # a day began without positive equity, after days that had it


@dataclass(frozen=True, kw_only=True)
class AccountOfDay:
    """Of the day: the account. daily_pnl_pct and daily_return are the same fraction under this definition."""

    starting_equity: Decimal
    ending_equity: Decimal
    daily_pnl: Decimal
    daily_pnl_pct: Decimal | None
    daily_return: Decimal | None


@dataclass(frozen=True, kw_only=True)
class TradesOfDay:
    """Of the day: the trades whose exit_time lies in it."""

    total_trades: int
    winning_trades: int
    losing_trades: int
    breakeven_trades: int
    win_rate: Decimal | None
    gross_profit: Decimal
    gross_loss: Decimal
    net_profit: Decimal
    profit_factor: Decimal | None
    avg_win: Decimal | None
    avg_loss: Decimal | None
    largest_win: Decimal | None
    largest_loss: Decimal | None
    avg_holding_time_hours: Decimal | None
    shortest_trade_hours: Decimal | None
    longest_trade_hours: Decimal | None


@dataclass(frozen=True, kw_only=True)
class TradesOfHistory:
    """Of the whole history: all trades closed by the end of the day."""

    expectancy: Decimal | None
    payoff_ratio: Decimal | None
    sqn: Decimal | None
    longest_winning_streak: int
    longest_losing_streak: int
    current_streak: int


@dataclass(frozen=True, kw_only=True)
class RatiosOfHistory:
    """Of the whole history: the returns of all days. max_drawdown, var_95 and cvar_95 are money."""

    volatility: Decimal | None
    sharpe_ratio: Decimal | None
    sortino_ratio: Decimal | None
    cagr: Decimal | None
    calmar_ratio: Decimal | None
    max_drawdown: Decimal
    max_drawdown_pct: Decimal | None
    max_drawdown_days: int | None
    current_drawdown: Decimal | None
    var_95: Decimal | None
    cvar_95: Decimal | None


@dataclass(frozen=True, kw_only=True)
class DayMetrics(AccountOfDay, TradesOfDay, ExposureStats, TradesOfHistory, RatiosOfHistory):
    """Every canonical metric of one bot and one UTC day, with what is needed to trust and to repeat it."""

    day: date
    definition: str
    inputs_hash: str
    provisional: bool
    provisional_reasons: tuple[ProvisionalReason, ...]


def compute_day(inputs: DayInputs) -> DayMetrics:
    """Return the metrics of one bot and one UTC day.

    Undefined figures are None; they and `provisional` are explained by the module and by each metric's function.
    Raises ValueError for a number that is not finite or facts that contradict each other.
    """
    return compute_days([inputs])[0]


def compute_days(inputs: Sequence[DayInputs]) -> list[DayMetrics]:
    """Return the metrics of many (bot, day) pairs, in the order given; the ratios of all are computed at once.

    The matrix has one row a pair and as many columns as the longest history has days. Errors as in compute_day.
    """
    if not inputs:
        return []
    facts = [one.relevant() for one in inputs]
    histories = [_history(one) for one in facts]
    ratios = compute_ratios(_matrix(histories), risk_free=np.array([float(one.risk_free) for one in facts]))
    return [
        _metrics(one, history, _ratios_of_history(history, ratios, row))
        for row, (one, history) in enumerate(zip(facts, histories, strict=True))
    ]


def _history(facts: DayInputs) -> list[DayReturn]:
    series = complete_series(first_day=facts.first_day, last_day=facts.day, equity=facts.equity, flows=facts.flows)
    return daily_returns(series, starting_equity=facts.starting_capital)


def _matrix(histories: Sequence[Sequence[DayReturn]]) -> Matrix:
    """Return the histories' returns as rows that end together, NaN where there is none."""
    matrix = np.full((len(histories), max(len(history) for history in histories)), np.nan)
    for row, history in enumerate(histories):
        matrix[row, -len(history) :] = [
            np.nan if entry.daily_return is None else float(entry.daily_return) for entry in history
        ]
    return matrix


def _metrics(facts: DayInputs, history: Sequence[DayReturn], ratios: RatiosOfHistory) -> DayMetrics:
    last = history[-1]
    daily_return = to_ratio(last.daily_return)
    account = AccountOfDay(
        starting_equity=last.starting_equity,
        ending_equity=last.ending_equity,
        daily_pnl=last.daily_pnl,
        daily_pnl_pct=daily_return,
        daily_return=daily_return,
    )
    reasons = _provisional_reasons(history)
    return DayMetrics(
        day=facts.day,
        definition=DEFINITION,
        inputs_hash=inputs_hash(facts),
        provisional=bool(reasons),
        provisional_reasons=reasons,
        **vars(account),
        **vars(_trades_of_day([trade for trade in facts.trades if trade.exit_time >= facts.begins_at])),
        **vars(exposure_stats(facts.samples)),
        **vars(_trades_of_history(facts.trades)),
        **vars(ratios),
    )


def _trades_of_day(trades: Sequence[ClosedTrade]) -> TradesOfDay:
    net_pnls = [trade.net_pnl for trade in trades]
    winning, losing = len(statistics.wins_of(net_pnls)), len(statistics.losses_of(net_pnls))
    held = statistics.holding_hours(trades)
    return TradesOfDay(
        total_trades=len(net_pnls),
        winning_trades=winning,
        losing_trades=losing,
        breakeven_trades=len(net_pnls) - winning - losing,
        win_rate=statistics.win_rate(net_pnls),
        gross_profit=statistics.gross_profit(net_pnls),
        gross_loss=statistics.gross_loss(net_pnls),
        net_profit=statistics.net_profit(net_pnls),
        profit_factor=statistics.profit_factor(net_pnls),
        avg_win=statistics.average_win(net_pnls),
        avg_loss=statistics.average_loss(net_pnls),
        largest_win=statistics.largest_win(net_pnls),
        largest_loss=statistics.largest_loss(net_pnls),
        avg_holding_time_hours=held.average,
        shortest_trade_hours=held.shortest,
        longest_trade_hours=held.longest,
    )


def _trades_of_history(trades: Sequence[ClosedTrade]) -> TradesOfHistory:
    """Trades come in the order in which they closed, as `relevant` leaves them."""
    net_pnls = [trade.net_pnl for trade in trades]
    runs = statistics.streaks(net_pnls)
    return TradesOfHistory(
        expectancy=statistics.expectancy(net_pnls),
        payoff_ratio=statistics.payoff_ratio(net_pnls),
        sqn=statistics.sqn(net_pnls),
        longest_winning_streak=runs.longest_winning,
        longest_losing_streak=runs.longest_losing,
        current_streak=runs.current,
    )


def _ratios_of_history(history: Sequence[DayReturn], ratios: RatioArrays, row: int) -> RatiosOfHistory:
    def value(by_bot: NDArray[np.float64]) -> float | None:
        return only(by_bot[row : row + 1])

    equity = history[-1].ending_equity
    drawdown_days = value(ratios.max_drawdown_days)
    return RatiosOfHistory(
        volatility=to_ratio(value(ratios.volatility)),
        sharpe_ratio=to_ratio(value(ratios.sharpe_ratio)),
        sortino_ratio=to_ratio(value(ratios.sortino_ratio)),
        cagr=to_ratio(value(ratios.cagr)),
        calmar_ratio=to_ratio(value(ratios.calmar_ratio)),
        max_drawdown=max_drawdown_money(entry.daily_pnl for entry in history),
        max_drawdown_pct=to_ratio(value(ratios.max_drawdown_pct)),
        max_drawdown_days=None if drawdown_days is None else int(drawdown_days),
        current_drawdown=to_ratio(value(ratios.current_drawdown)),
        var_95=at_equity(value(ratios.var_95), equity),
        cvar_95=at_equity(value(ratios.cvar_95), equity),
    )


def _provisional_reasons(history: Sequence[DayReturn]) -> tuple[ProvisionalReason, ...]:
    defined = [n for n, entry in enumerate(history) if entry.daily_return is not None]
    reasons = []
    if any(entry.is_carried for entry in history):
        reasons.append(ProvisionalReason.MISSING_BALANCE)
    if len(defined) < 2:
        reasons.append(ProvisionalReason.TOO_FEW_RETURNS)
    # Days before the first money have no return either, and nothing is missing there.
    if defined and len(defined) < len(history) - defined[0]:
        reasons.append(ProvisionalReason.UNDEFINED_RETURN)
    return tuple(reasons)
