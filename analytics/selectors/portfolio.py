"""All bots together: what the portfolio is worth, what it risks and what it brought.

Which bots count: the live ones; only where there is no live bot at all, the demo bots. Play money is never added to
real money. Backtests and archived bots never count. Unlike currencies are never added either: one portfolio each.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from django.utils import timezone

from analytics.metrics.borders import EXACT, utc_day
from analytics.metrics.canonical import DEFINITION
from analytics.metrics.exposure import leverage
from analytics.metrics.var import WINDOW_RETURNS, at_equity, value_at_risk
from analytics.selectors.books import Book, Flows, baselines, books_at, books_now, period_starts
from analytics.selectors.grid import ZERO
from analytics.selectors.history import BotRow, bots_read
from analytics.selectors.sql import fetch
from bots.choices import BotStatus, DeploymentMode
from bots.ledger.shapes import stamp, wire

# Days on which a bot has no row yet or no more are days without it, not holes.
DAYS = """
    SELECT date, sum(daily_pnl), sum(starting_equity) FROM risk_metrics
    WHERE bot_id = ANY(%(bots)s) AND definition = %(definition)s AND date >= %(first)s AND date < %(end)s
    GROUP BY date ORDER BY date
"""


@dataclass(frozen=True, slots=True)
class BotFigures:
    """One bot's part of a portfolio; money in its currency, exact. left_out: symbols quoted in another currency."""

    deployment_mode: str
    status: str
    equity: Decimal
    balance: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    margin_used: Decimal
    exposure: Decimal
    open_positions: int
    daily_pnl: Decimal
    weekly_pnl: Decimal
    monthly_pnl: Decimal
    left_out: list[str]


@dataclass(frozen=True, slots=True)
class PortfolioFigures:
    """The portfolio of one currency at one moment; every total is the exact sum over its bots."""

    at: datetime
    currency: str
    bots: dict[str, BotFigures]
    var_fraction: float | None

    def total(self, name: str) -> Decimal:
        """Return the exact sum of one figure over the bots."""
        with localcontext(EXACT):
            return sum((getattr(figures, name) for figures in self.bots.values()), ZERO)

    def columns(self) -> dict[str, Any]:
        """Return the figures under the names of a portfolio snapshot's columns."""
        equity, exposure = self.total("equity"), self.total("exposure")
        return {
            "total_equity": equity,
            "total_balance": self.total("balance"),
            "total_unrealized_pnl": self.total("unrealized_pnl"),
            "total_realized_pnl": self.total("realized_pnl"),
            "total_margin_used": self.total("margin_used"),
            "portfolio_leverage": leverage(exposure=exposure, equity=equity),
            "portfolio_exposure": exposure,
            "portfolio_var_95": at_equity(self.var_fraction, equity),
            "active_bots": sum(figures.status == BotStatus.ACTIVE for figures in self.bots.values()),
            "bots_in_trade": sum(figures.open_positions > 0 for figures in self.bots.values()),
            "total_open_positions": sum(figures.open_positions for figures in self.bots.values()),
            "daily_pnl": self.total("daily_pnl"),
            "weekly_pnl": self.total("weekly_pnl"),
            "monthly_pnl": self.total("monthly_pnl"),
        }


def portfolio_current() -> dict[str, Any]:
    """Return what `GET /portfolio/current` answers: the portfolio of each currency as it is now.

    {"as_of": time, "portfolios": [{"currency", the columns of a portfolio snapshot, "bot_metrics": {bot_id:
    {"deployment_mode", "status", "equity", "balance", "unrealized_pnl", "realized_pnl", "margin_used", "exposure",
    "open_positions", "daily_pnl", "weekly_pnl", "monthly_pnl", "left_out": [symbols]}}}]}, decimals as text.
    """
    now = timezone.now()
    portfolios = [
        {
            "currency": portfolio.currency,
            **wire(portfolio.columns()),
            "bot_metrics": {bot_id: wire(asdict(figures)) for bot_id, figures in portfolio.bots.items()},
        }
        for portfolio in portfolios_now(at=now)
    ]
    return {"as_of": stamp(now), "portfolios": portfolios}


def portfolios_now(*, at: datetime) -> list[PortfolioFigures]:
    """Return the portfolio of each currency, by currency, with open positions at their last marks."""
    bots = counted(bots_read())
    flows = Flows(bots, at)
    return _portfolios(bots, {at: books_now(bots, at=at, flows=flows)}, flows)[at]


def portfolios_at(slots: Sequence[datetime]) -> dict[datetime, list[PortfolioFigures]]:
    """Return the portfolios at past slots, in ascending order, as the ledger knew them then.

    Modes and states of bots are today's: their past is not kept.
    """
    bots = counted(bots_read())
    flows = Flows(bots, slots[-1])
    return _portfolios(bots, books_at(bots, slots=slots, flows=flows), flows)


def counted(bots: Sequence[BotRow]) -> list[BotRow]:
    """Return the bots that make up the portfolio; see the module."""
    kept = [bot for bot in bots if bot.status != BotStatus.ARCHIVED]
    live = [bot for bot in kept if bot.deployment_mode == DeploymentMode.LIVE]
    return live or [bot for bot in kept if bot.deployment_mode == DeploymentMode.DEMO]


def _portfolios(
    bots: Sequence[BotRow], books: Mapping[datetime, Mapping[str, Book]], flows: Flows
) -> dict[datetime, list[PortfolioFigures]]:
    starts = {start for moment in books for start in period_starts(moment)}
    before = baselines(bots, starts=starts, flows=flows)
    by_currency: dict[str, list[BotRow]] = defaultdict(list)
    for bot in sorted(bots):
        by_currency[bot.currency].append(bot)
    result: dict[datetime, list[PortfolioFigures]] = {moment: [] for moment in books}
    for currency, members in sorted(by_currency.items()):
        risk = _Risk(members, moments=list(books))
        for moment, book_of in books.items():
            present = {
                bot.bot_id: _figures(bot, book_of[bot.bot_id], moment, before, flows)
                for bot in members
                if min(bot.created_at, bot.first_at or bot.created_at) <= moment
            }
            result[moment].append(PortfolioFigures(moment, currency, present, risk.on(utc_day(moment))))
    return result


def _figures(
    bot: BotRow, book: Book, moment: datetime, before: Mapping[tuple[str, datetime], Decimal], flows: Flows
) -> BotFigures:
    with localcontext(EXACT):
        daily, weekly, monthly = (
            book.equity - before[bot.bot_id, start] - flows.external_between(bot.bot_id, start, moment)
            for start in period_starts(moment)
        )
    return BotFigures(
        deployment_mode=bot.deployment_mode,
        status=bot.status,
        equity=book.equity,
        balance=book.total,
        unrealized_pnl=book.unrealized,
        realized_pnl=book.realized,
        margin_used=book.margin_used,
        exposure=book.exposure,
        open_positions=book.open_positions,
        daily_pnl=daily,
        weekly_pnl=weekly,
        monthly_pnl=monthly,
        left_out=book.left_out,
    )


class _Risk:
    """Value at risk of some bots together, from the daily returns of their sum."""

    def __init__(self, bots: Sequence[BotRow], *, moments: Sequence[datetime]) -> None:
        days = [utc_day(moment) for moment in moments]
        first = min(days) - timedelta(days=WINDOW_RETURNS)
        bot_ids = [bot.bot_id for bot in bots]
        rows = fetch(DAYS, bots=bot_ids, definition=DEFINITION, first=first, end=max(days))
        self.returns: dict[date, float] = {day: float(pnl / equity) for day, pnl, equity in rows if equity > 0}
        self.known: dict[date, float | None] = {}

    def on(self, day: date) -> float | None:
        """Return the value at risk on a day, a fraction of equity, from the returns of the days before it."""
        if day not in self.known:
            self.known[day] = value_at_risk([r for earlier, r in self.returns.items() if earlier < day])
        return self.known[day]
