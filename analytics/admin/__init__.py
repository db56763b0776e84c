"""The admin of computed figures, and the start page over all apps."""

from analytics.admin import portfolio, risk_metrics

__all__ = ["portfolio", "risk_metrics"]
