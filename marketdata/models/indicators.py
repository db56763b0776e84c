"""Technical indicators."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast, Length, Now
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from tradingdb.lib.fields import amount, finite_times, valid_symbol
from tradingdb.lib.json_rules import json_objects

# The parameters stand in a unique index, whose rows have to fit a third of a page.
PARAMETERS_LENGTH = 1000


class TechnicalIndicator(models.Model):
    """One value of one indicator with certain parameters, for the candle that starts at its time."""

    symbol = models.CharField(max_length=40)
    exchange = models.CharField(max_length=50, default="bybit", db_default="bybit")
    timeframe = models.CharField(max_length=10, help_text="Interval of the candles: 1m, 5m, 15m, 1h, 4h, 1d …")
    timestamp = TimescaleDateTimeField(interval="1 month", help_text="Start of the candle, UTC.")
    indicator_name = models.CharField(max_length=50, help_text="For example ema, rsi, atr.")
    value = amount(help_text="In the indicator's own unit; no row while it is undefined.")
    parameters = models.JSONField(null=True, blank=True, help_text='Object, such as {"period": 14}; NULL: none.')
    data_source = models.CharField(
        max_length=50,
        default="calculated",
        db_default="calculated",
        help_text="calculated, exchange, backfill or import:<name>.",
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "technical_indicators"
        ordering = ["-timestamp"]
        constraints = [
            # The seed lets a row without parameters in as often as it comes, and forgets the exchange.
            models.UniqueConstraint(
                fields=["exchange", "symbol", "timeframe", "timestamp", "indicator_name", "parameters"],
                name="technical_indicators_unique",
                nulls_distinct=False,
            ),
            json_objects("technical_indicators_objects", "parameters"),
            models.CheckConstraint(
                condition=Q(LessThanOrEqual(Length(Cast("parameters", models.TextField())), PARAMETERS_LENGTH)),
                name="technical_indicators_short_parameters",
            ),
            models.CheckConstraint(
                condition=~Q(indicator_name="") & ~Q(timeframe=""), name="technical_indicators_named"
            ),
            valid_symbol("technical_indicators_valid_symbol"),
            finite_times("technical_indicators_finite_times", "timestamp", "created_at"),
        ]
        indexes = [
            models.Index("symbol", "timeframe", "indicator_name", F("timestamp").desc(), name="idx_indicators_lookup"),
            models.Index(F("timestamp").desc(), name="idx_indicators_timestamp"),
        ]

    def __str__(self) -> str:
        series = f"{self.exchange} {self.symbol} {self.timeframe}"
        return f"{self.indicator_name} of {series} {self.timestamp:%Y-%m-%d %H:%MZ}"
