"""Models of the marketdata app, one module per aggregate."""

from marketdata.models.candles import Candle
from marketdata.models.indicators import TechnicalIndicator
from marketdata.models.order_books import OrderBookSnapshot

__all__ = ["Candle", "OrderBookSnapshot", "TechnicalIndicator"]
