"""Models of the analytics app, one module per aggregate."""

from analytics.models.daily_candles import DailyCandle, DailyCandleChange
from analytics.models.portfolio import PortfolioSnapshot
from analytics.models.risk_metrics import RiskMetrics
from analytics.models.views import (
    ActivePositionSummary,
    DailyOhlcv,
    DailyPerformanceSummary,
    SystemHealthDashboard,
    ViewRefresh,
)

__all__ = [
    "ActivePositionSummary",
    "DailyCandle",
    "DailyCandleChange",
    "DailyOhlcv",
    "DailyPerformanceSummary",
    "PortfolioSnapshot",
    "RiskMetrics",
    "SystemHealthDashboard",
    "ViewRefresh",
]
