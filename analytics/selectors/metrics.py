"""Metrics of one bot over its whole history, computed on demand: what `show_metrics` and the API show side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from analytics.metrics import trades as statistics
from analytics.metrics.borders import EXACT, to_ratio, utc_day
from analytics.metrics.canonical import DEFINITION, DayInputs, DayMetrics, compute_day
from analytics.selectors.history import bots_read, histories_read
from bots.ledger.shapes import stamp, wire
from tradingdb.lib.errors import NotFound, ValidationFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which metrics are asked for; starting_balance stands in for the bot's capital."""

    bot_id: str
    definition: str
    as_of: datetime
    starting_balance: Decimal | None = None


def metrics_as_of(question: Question) -> dict[str, Any]:
    """Return the metrics of a bot under a definition, from all facts up to and with a moment.

    {"bot_id", "definition", "as_of", "currency", "provisional", "provisional_reasons", "metrics": {name: value}}:
    decimals as text, undefined ones null; shares are fractions, money is in the bot's currency and losses are
    negative. Raises NotFound for an unknown bot and ValidationFailed for an unknown definition.
    """
    compute = DEFINITIONS.get(question.definition)
    if compute is None:
        known = ", ".join(DEFINITIONS)
        raise ValidationFailed(f"No such definition: {question.definition}. Known: {known}.", known=sorted(DEFINITIONS))
    bots = bots_read([question.bot_id])
    if not bots:
        raise NotFound(f"No such bot: {question.bot_id}", bot_id=question.bot_id)
    (bot,) = bots
    day = utc_day(question.as_of)
    history = histories_read(bots, last_day=day, before=question.as_of + timedelta(microseconds=1)).get(bot.bot_id)
    has_begun = history is not None and bot.first_at is not None and bot.first_at <= question.as_of
    inputs = DayInputs(
        day=day,
        first_day=bot.first_day if has_begun and bot.first_day is not None else day,
        starting_capital=bot.starting_capital if question.starting_balance is None else question.starting_balance,
        equity=history.equity if history is not None else {},
        flows=history.flows if history is not None else {},
        trades=history.trades if history is not None else (),
    )
    figures = compute_day(inputs)
    is_whole = history is None or history.unlike_since is None
    reasons = [*map(str, figures.provisional_reasons), *([] if is_whole else ["unlike_currency"])]
    answer = {
        "bot_id": bot.bot_id,
        "definition": question.definition,
        "as_of": stamp(question.as_of),
        "currency": bot.currency,
        "provisional": bool(reasons),
        "provisional_reasons": reasons,
        "metrics": compute(inputs, figures),
    }
    shown: dict[str, Any] = wire(answer)
    return shown


def _canonical(inputs: DayInputs, figures: DayMetrics) -> dict[str, Any]:
    """Return the canonical set over the history; statistics of trades are of all of them, not of one day."""
    net_pnls = [trade.net_pnl for trade in inputs.trades]
    wins, losses = statistics.wins_of(net_pnls), statistics.losses_of(net_pnls)
    return {
        "sharpe": figures.sharpe_ratio,
        "sortino": figures.sortino_ratio,
        "calmar": figures.calmar_ratio,
        "cagr": figures.cagr,
        "volatility": figures.volatility,
        "max_drawdown": figures.max_drawdown_pct,
        "max_drawdown_abs": figures.max_drawdown,
        "max_drawdown_days": figures.max_drawdown_days,
        "current_drawdown": figures.current_drawdown,
        "var_95": figures.var_95,
        "cvar_95": figures.cvar_95,
        "sqn": figures.sqn,
        "profit_factor": statistics.profit_factor(net_pnls),
        "winrate": statistics.win_rate(net_pnls),
        "expectancy": figures.expectancy,
        "expectancy_ratio": expectancy_ratio(net_pnls),
        "payoff_ratio": figures.payoff_ratio,
        "closed_trade_count": len(net_pnls),
        "winning_trades": len(wins),
        "losing_trades": len(losses),
        "breakeven_trades": len(net_pnls) - len(wins) - len(losses),
        "profit_closed_coin": statistics.net_profit(net_pnls),
        "gross_profit": statistics.gross_profit(net_pnls),
        "gross_loss": statistics.gross_loss(net_pnls),
        "avg_win": statistics.average_win(net_pnls),
        "avg_loss": statistics.average_loss(net_pnls),
        "largest_win": statistics.largest_win(net_pnls),
        "largest_loss": statistics.largest_loss(net_pnls),
        "longest_winning_streak": figures.longest_winning_streak,
        "longest_losing_streak": figures.longest_losing_streak,
        "starting_balance": inputs.starting_capital,
        "ending_equity": figures.ending_equity,
        "first_day": inputs.first_day,
        "last_day": inputs.day,
    }


def expectancy_ratio(net_pnls: list[Decimal]) -> Decimal | None:
    """Return what is won for each unit that a losing trade loses: (1 + average win / |average loss|) x win rate - 1.

    No unit, 12 decimals; -1 when every trade lost, None without a loss. A breakeven trade counts as a trade.
    Source: freqtrade, `expectancy_ratio`, whose 100 for "no loss" is None here.
    """
    wins, losses = statistics.wins_of(net_pnls), statistics.losses_of(net_pnls)
    if not losses:
        return None
    with localcontext(EXACT):
        won_per_loss = sum(wins, Decimal(0)) * len(losses) / (-sum(losses) * max(len(wins), 1))
        return to_ratio((1 + won_per_loss) * len(wins) / len(net_pnls) - 1)


DEFINITIONS: dict[str, Callable[[DayInputs, DayMetrics], dict[str, Any]]] = {DEFINITION: _canonical}
