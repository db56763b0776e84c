"""Models of the analytics app, one module per aggregate."""

from analytics.models.daily_candles import DailyCandle, DailyCandleChange
from analytics.models.data_quality import DataQualityCase
from analytics.models.equity import EquitySnapshot
from analytics.models.ml import MLModel, ModelPrediction
from analytics.models.performance import PerformanceMetric, PerformanceSnapshot, StrategyPerformance
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
    "DataQualityCase",
    "EquitySnapshot",
    "MLModel",
    "ModelPrediction",
    "PerformanceMetric",
    "PerformanceSnapshot",
    "PortfolioSnapshot",
    "RiskMetrics",
    "StrategyPerformance",
    "SystemHealthDashboard",
    "ViewRefresh",
]
