"""Models of the analytics app, one module per aggregate."""

from analytics.models.portfolio import PortfolioSnapshot
from analytics.models.risk_metrics import RiskMetrics

__all__ = ["PortfolioSnapshot", "RiskMetrics"]
