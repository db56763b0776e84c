"""What limits over the portfolio need from its history: drawdowns, and symbols that move together."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from analytics.selectors.portfolio import portfolios_now
from analytics.selectors.sql import fetch
from bots.choices import LimitKind
from bots.models import RiskGroup, RiskLimit
from bots.services.risk_watch import Drawdown, portfolio_drawdowns_judge

PEAK = "SELECT max(total_equity) FROM portfolio_snapshots WHERE currency = %(currency)s"
# The last close of each UTC day; the finest candles of a day come last among equals.
CLOSES = """
    SELECT symbol, day, close FROM (
        SELECT DISTINCT ON (symbol, date_trunc('day', "timestamp", 'UTC'))
            symbol, date_trunc('day', "timestamp", 'UTC') AS day, close_price AS close
        FROM market_data
        WHERE "timestamp" >= %(first)s AND "timestamp" < %(end)s AND symbol = ANY (%(symbols)s::text[])
        ORDER BY symbol, date_trunc('day', "timestamp", 'UTC'), "timestamp" DESC
    ) d ORDER BY symbol, day
"""
SYMBOLS = """
    SELECT DISTINCT symbol FROM positions WHERE last_updated > %(since)s OR status IN ('open', 'partially_closed')
    UNION SELECT DISTINCT symbol FROM orders WHERE created_at > %(since)s
"""
# Fewer returns in common say nothing.
LEAST_DAYS = 20

Closes = Mapping[str, Mapping[date, float]]


def portfolio_drawdowns_watch() -> int:
    """Hold each portfolio to its limits on drawdown; return how many bots were restricted."""
    if not RiskLimit.objects.filter(kind=LimitKind.PORTFOLIO_DRAWDOWN, is_active=True).exists():
        return 0
    now = timezone.now()
    drawdowns = []
    for portfolio in portfolios_now(at=now):
        if portfolio.bots:
            equity: Decimal = portfolio.total("equity")
            ((peak,),) = fetch(PEAK, currency=portfolio.currency)
            mode = next(iter(portfolio.bots.values())).deployment_mode
            drawdowns.append(Drawdown(mode, portfolio.currency, equity, max(equity, peak or equity)))
    return portfolio_drawdowns_judge(drawdowns, now=now)


def risk_groups_refresh(*, now: datetime | None = None) -> int:
    """Work out which of the symbols that were traded in 30 days move together; return how many groups there are."""
    end = (now or timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    symbols = [symbol for (symbol,) in fetch(SYMBOLS, since=end - timedelta(days=30))]
    first = end - timedelta(days=settings.CORRELATION_DAYS + 1)
    closes: dict[str, dict[date, float]] = defaultdict(dict)
    for symbol, day, close in fetch(CLOSES, first=first, end=end, symbols=symbols):
        closes[symbol][day.date()] = float(close)
    groups = groups_of(closes, least=settings.CORRELATION_LEAST)
    with transaction.atomic():
        RiskGroup.objects.all().delete()
        RiskGroup.objects.bulk_create(
            RiskGroup(
                name=members[0], symbols=members, least_correlation=Decimal(f"{weakest:.12f}"),
                days=settings.CORRELATION_DAYS,
            )
            for members, weakest in groups
        )  # fmt: skip
    return len(groups)


def groups_of(closes: Closes, *, least: float) -> list[tuple[list[str], float]]:
    """Return the symbols that hang together by correlations of daily log returns of at least `least`, either sign,
    each group by name with its weakest such link."""
    returns = {symbol: _returns(days) for symbol, days in closes.items()}
    names = sorted(returns)
    group_of = {name: {name} for name in names}
    links: dict[tuple[str, str], float] = {}
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            value = correlation(returns[one], returns[other])
            if value is not None and abs(value) >= least:
                links[one, other] = abs(value)
                joined = group_of[one] | group_of[other]
                for name in joined:
                    group_of[name] = joined
    several = {min(members): members for members in group_of.values() if len(members) > 1}
    return [
        (sorted(members), min(value for (one, _), value in links.items() if one in members))
        for _, members in sorted(several.items())
    ]


def correlation(one: Mapping[date, float], other: Mapping[date, float]) -> float | None:
    """Return Pearson's correlation over the days that both have; None where they are too few or do not move."""
    days = sorted(set(one) & set(other))
    if len(days) < LEAST_DAYS:
        return None
    xs, ys = [one[day] for day in days], [other[day] for day in days]
    dx, dy = _from_mean(xs), _from_mean(ys)
    size = math.sqrt(math.fsum(x * x for x in dx) * math.fsum(y * y for y in dy))
    if size == 0:
        return None
    value = math.fsum(x * y for x, y in zip(dx, dy, strict=True)) / size
    return max(-1.0, min(1.0, value))


def _returns(days: Mapping[date, float]) -> dict[date, float]:
    """Return the log return of each day whose day before is known."""
    return {
        day: math.log(close / days[day - timedelta(days=1)])
        for day, close in days.items()
        if day - timedelta(days=1) in days
    }


def _from_mean(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]
