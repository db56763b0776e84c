"""Models of the marketdata app, one module per aggregate."""

from marketdata.models.candles import Candle

__all__ = ["Candle"]
