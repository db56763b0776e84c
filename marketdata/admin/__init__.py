"""The admin of market data."""

from marketdata.admin import candles

__all__ = ["candles"]
