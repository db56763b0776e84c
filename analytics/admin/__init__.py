"""The admin of computed figures, and the start page over all apps."""

from analytics.admin import data_quality, equity, ml, performance, portfolio, risk_metrics

__all__ = ["data_quality", "equity", "ml", "performance", "portfolio", "risk_metrics"]
