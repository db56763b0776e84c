"""Symbols that move together, from stored candles."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from analytics.services.portfolio_risk import correlation, groups_of, portfolio_drawdowns_watch, risk_groups_refresh
from bots.models import ControlState, RiskGroup
from marketdata.models import Candle
from tests.factories import BotFactory, OrderFactory, PortfolioSnapshotFactory, RiskLimitFactory

END = datetime(2026, 11, 20, tzinfo=UTC)
WAVES = {
    "AUSDT": lambda n: math.sin(n),
    "BUSDT": lambda n: 2 * math.sin(n) + 0.1 * math.cos(3 * n),
    "CUSDT": lambda n: -math.sin(n),
    "DUSDT": lambda n: math.cos(7 * n * n),
}


def closes(days: int) -> dict[str, dict]:
    return {
        symbol: {
            (END - timedelta(days=n)).date(): 100 * math.exp(0.01 * sum(wave(k) for k in range(days - n)))
            for n in range(days, 0, -1)
        }
        for symbol, wave in WAVES.items()
    }


def test_groups_are_what_hangs_together_with_either_sign() -> None:
    ((members, weakest),) = groups_of(closes(60), least=0.8)

    assert members == ["AUSDT", "BUSDT", "CUSDT"]
    assert 0.99 < weakest < 1


def test_correlation_agrees_with_what_is_known_by_hand() -> None:
    days = [(END + timedelta(days=n)).date() for n in range(20)]
    up = {day: float(n) for n, day in enumerate(days)}
    assert correlation(up, {day: 3 - 2 * value for day, value in up.items()}) == pytest.approx(-1)
    assert correlation(up, dict.fromkeys(days, 1.0)) is None
    assert correlation(up, dict(list(up.items())[1:])) is None


@pytest.mark.django_db
def test_job_takes_the_last_close_of_each_whole_day_and_replaces_what_was() -> None:
    bot = BotFactory()
    rows = []
    for symbol, days in closes(62).items():
        OrderFactory(bot=bot, symbol=symbol, created_at=END - timedelta(days=1))
        for day, close in days.items():
            at = datetime(day.year, day.month, day.day, 23, tzinfo=UTC)
            price = Decimal(f"{close:.8f}")
            for hour, shown in ((0, Decimal(1)), (23, price)):
                rows.append(
                    Candle(
                        exchange="bybit", symbol=symbol, interval="1h", timestamp=at.replace(hour=hour),
                        open_price=shown, high_price=shown, low_price=shown, close_price=shown, volume=1,
                    )
                )  # fmt: skip
    Candle.objects.bulk_create(rows)
    RiskGroup.objects.create(name="OLD", symbols=["X", "Y"], least_correlation=1, days=60)

    assert risk_groups_refresh(now=END + timedelta(minutes=20)) == 1

    assert RiskGroup.objects.get().symbols == ["AUSDT", "BUSDT", "CUSDT"]


@pytest.mark.django_db
def test_portfolio_is_held_to_its_highest_snapshot() -> None:
    bot = BotFactory(initial_capital=800, current_equity=800)
    PortfolioSnapshotFactory(currency="USDT", total_equity=1000)
    limit = {"kind": "portfolio_drawdown", "scope": "all", "target": "", "action": "HALTED"}
    RiskLimitFactory(**limit, limit_value=Decimal("0.19"))

    assert (portfolio_drawdowns_watch(), portfolio_drawdowns_watch()) == (1, 0)
    assert ControlState.objects.get(target=bot.bot_id).state == "HALTED"
