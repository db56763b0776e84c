"""The admin of computed figures, and the start page over all apps."""

from analytics.admin import daily_candles, portfolio, risk_metrics, views

__all__ = ["daily_candles", "portfolio", "risk_metrics", "views"]
