"""Statistics of closed trades, exact in Decimal.

A trade counts by its net P&L (after fees, in the account's currency): above zero a win, below zero a loss, zero
breakeven. Sums are exact; a mean of money is rounded to 18 decimals, a ratio to 12. A ratio of 10^12 or more does
not fit its column and is None. All functions raise ValueError for an amount that is not finite.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from analytics.metrics.borders import EXACT, finite, to_money, to_ratio, total, utc_day

MICROSECONDS_PER_HOUR = Decimal(3_600_000_000)


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """One round trip from flat to flat. `net_pnl` is after fees; both times are aware."""

    trade_id: str
    entry_time: datetime
    exit_time: datetime
    net_pnl: Decimal

    def __post_init__(self) -> None:
        finite(self.net_pnl, "net_pnl")
        utc_day(self.entry_time)
        utc_day(self.exit_time)
        if self.exit_time < self.entry_time:
            raise ValueError(f"trade {self.trade_id} ends before it begins")


@dataclass(frozen=True, slots=True)
class Streaks:
    """Runs of like trades: the longest of each kind, and the run that is on (wins > 0, losses < 0, none 0)."""

    longest_winning: int
    longest_losing: int
    current: int


@dataclass(frozen=True, slots=True)
class HoldingHours:
    """Holding times in hours, to 12 decimals; None without trades."""

    average: Decimal | None
    shortest: Decimal | None
    longest: Decimal | None


def wins_of(net_pnls: Iterable[Decimal]) -> list[Decimal]:
    """Return the P&L of the winning trades, in the order given."""
    return [pnl for pnl in net_pnls if finite(pnl, "net_pnl") > 0]


def losses_of(net_pnls: Iterable[Decimal]) -> list[Decimal]:
    """Return the P&L of the losing trades, in the order given."""
    return [pnl for pnl in net_pnls if finite(pnl, "net_pnl") < 0]


def gross_profit(net_pnls: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of the wins, 0 without one."""
    return total(wins_of(net_pnls))


def gross_loss(net_pnls: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of the losses, 0 or negative: gross_profit + gross_loss is the net profit."""
    return total(losses_of(net_pnls))


def net_profit(net_pnls: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of all net P&L, 0 without trades."""
    return total(finite(pnl, "net_pnl") for pnl in net_pnls)


def win_rate(net_pnls: Sequence[Decimal]) -> Decimal | None:
    """Return wins / all closed trades, a fraction; breakeven trades count as trades. None without trades.

    Source: the seed's daily performance summary.
    """
    return _quotient(Decimal(len(wins_of(net_pnls))), Decimal(len(net_pnls)))


def profit_factor(net_pnls: Sequence[Decimal]) -> Decimal | None:
    """Return sum of wins / |sum of losses|, no unit. None without a loss (shown as infinite when there is a win).

    Source: common usage, gross profit over gross loss.
    """
    # copy_negate and not a minus sign: the minus would round to the 28 digits of the default context.
    return _quotient(gross_profit(net_pnls), gross_loss(net_pnls).copy_negate())


def average_win(net_pnls: Iterable[Decimal]) -> Decimal | None:
    """Return the mean P&L of the wins, in money. None without a win."""
    return _mean(wins_of(net_pnls))


def average_loss(net_pnls: Iterable[Decimal]) -> Decimal | None:
    """Return the mean P&L of the losses, in money, negative. None without a loss."""
    return _mean(losses_of(net_pnls))


def largest_win(net_pnls: Iterable[Decimal]) -> Decimal | None:
    """Return the largest win, in money. None without a win."""
    return max(wins_of(net_pnls), default=None)


def largest_loss(net_pnls: Iterable[Decimal]) -> Decimal | None:
    """Return the largest loss, in money, negative. None without a loss."""
    return min(losses_of(net_pnls), default=None)


def expectancy(net_pnls: Iterable[Decimal]) -> Decimal | None:
    """Return the mean net P&L of a trade, in money. None without trades.

    Source: V. K. Tharp, "Trade Your Way to Financial Freedom"; equal to win rate x average win + loss rate x
    average loss.
    """
    return _mean([finite(pnl, "net_pnl") for pnl in net_pnls])


def payoff_ratio(net_pnls: Sequence[Decimal]) -> Decimal | None:
    """Return average win / |average loss|, no unit. None without a win or without a loss.

    Source: as `expectancy`; computed from the exact sums, not from the rounded means.
    """
    wins, losses = wins_of(net_pnls), losses_of(net_pnls)
    if not wins:
        return None
    with localcontext(EXACT):
        return _quotient(total(wins) * len(losses), -total(losses) * len(wins))


def sqn(net_pnls: Sequence[Decimal]) -> Decimal | None:
    """Return the System Quality Number of a series of trades, no unit.

    sqrt(n) * mean / sample standard deviation (n - 1) of net P&L. None below two trades or when all are equal.
    Source: V. K. Tharp, "The Definitive Guide to Position Sizing", on net P&L instead of R multiples.
    """
    count = len(net_pnls)
    with localcontext(EXACT):
        sum_all = net_profit(net_pnls)
        # n * sum(x^2) - (sum x)^2 is exact here, so "all equal" is exactly zero and nothing cancels.
        spread = count * total(pnl * pnl for pnl in net_pnls) - sum_all * sum_all
        if spread == 0:
            return None
        return to_ratio(sum_all * (Decimal(count - 1) / spread).sqrt())


def streaks(net_pnls: Iterable[Decimal]) -> Streaks:
    """Return the runs of wins and of losses.

    net_pnls: in the order in which the trades closed. A breakeven trade ends either run.
    Source: our own definition.
    """
    run = longest_winning = longest_losing = 0
    for pnl in net_pnls:
        if finite(pnl, "net_pnl") == 0:
            run = 0
        elif pnl > 0:
            run = max(run, 0) + 1
        else:
            run = min(run, 0) - 1
        longest_winning = max(longest_winning, run)
        longest_losing = max(longest_losing, -run)
    return Streaks(longest_winning=longest_winning, longest_losing=longest_losing, current=run)


def holding_hours(trades: Sequence[ClosedTrade]) -> HoldingHours:
    """Return the mean, the shortest and the longest time from entry to exit, in hours.

    Source: the seed's `holding_time_seconds`, without rounding to seconds.
    """
    if not trades:
        return HoldingHours(average=None, shortest=None, longest=None)
    held = [trade.exit_time - trade.entry_time for trade in trades]
    return HoldingHours(
        average=_hours(sum(held, timedelta()), among=len(held)),
        shortest=_hours(min(held)),
        longest=_hours(max(held)),
    )


def _hours(duration: timedelta, *, among: int = 1) -> Decimal | None:
    return _quotient(Decimal(duration // timedelta(microseconds=1)), MICROSECONDS_PER_HOUR * among)


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    if not values:
        return None
    with localcontext(EXACT):
        return to_money(total(values) / len(values))


def _quotient(numerator: Decimal, denominator: Decimal) -> Decimal | None:
    if denominator == 0:
        return None
    with localcontext(EXACT):
        return to_ratio(numerator / denominator)
