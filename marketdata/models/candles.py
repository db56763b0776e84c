"""Candles."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from tradingdb.lib.fields import INTERVAL, amount, finite_times, named, not_negative, valid_symbol


class Candle(models.Model):
    """One candle of one symbol on one exchange: open, high, low, close and volume of an interval."""

    symbol = models.CharField(max_length=40)
    exchange = models.CharField(max_length=50, default="bybit", db_default="bybit")
    interval = models.CharField(max_length=10, help_text="1m, 5m, 15m, 1h, 4h, 1d and the like.")
    timestamp = TimescaleDateTimeField(interval="1 month", help_text="Start of the interval, UTC.")
    open_price = amount()
    high_price = amount()
    low_price = amount()
    close_price = amount()
    volume = amount(help_text="In the base currency.")
    quote_volume = amount(null=True, blank=True, help_text="In the quote currency.")
    trades_count = models.IntegerField(null=True, blank=True)
    taker_buy_volume = amount(null=True, blank=True)
    taker_sell_volume = amount(null=True, blank=True)
    taker_buy_quote_volume = amount(null=True, blank=True, help_text="What takers paid to buy, in the quote currency.")
    ema_20 = amount(null=True, blank=True)
    ema_50 = amount(null=True, blank=True)
    ema_200 = amount(null=True, blank=True)
    rsi_14 = amount(null=True, blank=True)
    atr_14 = amount(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    data_source = models.CharField(
        max_length=50,
        default="exchange",
        db_default="exchange",
        help_text="exchange, calculated, backfill or import:<name>.",
    )

    class Meta:
        db_table = "market_data"
        ordering = ["-timestamp"]
        constraints = [
            # The seed forgets the exchange: two exchanges' candles of one symbol are different facts.
            models.UniqueConstraint(fields=["exchange", "symbol", "interval", "timestamp"], name="unique_candle"),
            models.CheckConstraint(
                condition=Q(high_price__gte=F("low_price"))
                & Q(high_price__gte=F("open_price"))
                & Q(high_price__gte=F("close_price"))
                & Q(low_price__lte=F("open_price"))
                & Q(low_price__lte=F("close_price")),
                name="valid_ohlc",
            ),
            models.CheckConstraint(condition=Q(low_price__gt=0), name="market_data_positive_price"),
            models.CheckConstraint(condition=Q(volume__gte=0), name="market_data_volume_not_negative"),
            not_negative(
                "market_data_parts_not_negative",
                "quote_volume",
                "trades_count",
                "taker_buy_volume",
                "taker_sell_volume",
                "taker_buy_quote_volume",
                "atr_14",
            ),
            models.CheckConstraint(condition=Q(rsi_14__gte=0, rsi_14__lte=100), name="market_data_valid_rsi"),
            models.CheckConstraint(condition=Q(interval__regex=INTERVAL), name="market_data_valid_interval"),
            named("market_data_named", "exchange"),
            valid_symbol("market_data_valid_symbol"),
            finite_times("market_data_finite_times", "timestamp", "created_at"),
        ]
        indexes = [
            models.Index(F("timestamp").desc(), name="idx_market_data_timestamp"),
            # These hold no 1m and 5m candles, which are the bulk. The seed's one over all intervals would make each
            # candle 1.4 times as dear to store, and unique_candle answers it for one exchange.
            models.Index("symbol", F("timestamp").desc(), name="idx_market_data_1h", condition=Q(interval="1h")),
            models.Index("symbol", F("timestamp").desc(), name="idx_market_data_4h", condition=Q(interval="4h")),
            models.Index("symbol", F("timestamp").desc(), name="idx_market_data_1d", condition=Q(interval="1d")),
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.interval} {self.timestamp:%Y-%m-%d %H:%MZ}"
