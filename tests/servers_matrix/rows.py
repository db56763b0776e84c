"""Rows of every kind: in this month, in past months, ahead of their partition, and beside the time-series tables."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from analytics.models import PortfolioSnapshot
from analytics.services.portfolio import bots_refresh_total_pnl
from analytics.services.risk_metrics import risk_metrics_backfill
from analytics.services.time_series import maintain_time_series
from audit.models import SystemEvent
from marketdata.models import Candle
from tests.factories import AccountBalanceFactory, BotFactory, FillFactory, TradeFactory, utc

MOMENTS = ("2018-01-31 23:59:59.999999", "2026-10-31 23:59", "2026-11-01 00:00", "2026-11-20 09:00", "2034-02-01 00:00")


def candle(at: datetime, *, interval: str = "1m", symbol: str = "BTCUSDT", **columns: object) -> Candle:
    """One candle that opens and closes at 100."""
    prices = dict.fromkeys(("open_price", "high_price", "low_price", "close_price"), Decimal(100))
    return Candle.objects.create(
        symbol=symbol, interval=interval, timestamp=at, volume=Decimal("1.5"), **{**prices, **columns}
    )


def event(at: datetime, message: str = "m") -> SystemEvent:
    """One event of the system."""
    return SystemEvent.objects.create(event_time=at, event_type="TEST", event_level="INFO", message=message)


def compute_metrics() -> None:
    """Compute the daily metrics of the last days and the total P&L of bots, as the jobs would have."""
    today = timezone.now().date()
    risk_metrics_backfill(first=today - timedelta(days=5), last=today - timedelta(days=1))
    bots_refresh_total_pnl()


def fill() -> None:
    """Write rows to tables of each kind."""
    bot = BotFactory()
    FillFactory(bot=bot)
    TradeFactory(bot=bot)
    for moment in map(utc, MOMENTS):
        candle(moment)
        candle(moment, interval="1h")
        event(moment)
        AccountBalanceFactory(bot=bot, timestamp=moment)
        PortfolioSnapshot.objects.create(timestamp=moment, total_equity=Decimal("10.25"), total_balance=Decimal(10))


def fill_and_maintain() -> None:
    """Write rows, give them their partitions, and leave one in DEFAULT."""
    fill()
    maintain_time_series(utc("2026-11-20 09:00"))
    event(utc("2035-01-01"))
