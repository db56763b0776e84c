"""The admin of computed figures, and the start page over all apps."""

from analytics.admin import daily_candles, data_quality, equity, ml, performance, portfolio, risk_metrics, views

__all__ = ["daily_candles", "data_quality", "equity", "ml", "performance", "portfolio", "risk_metrics", "views"]
