"""The admin of market data."""

from marketdata.admin import candles, indicators, order_books

__all__ = ["candles", "indicators", "order_books"]
