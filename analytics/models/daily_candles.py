"""Candles added up to UTC days, and the notes of what is to be added up again."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import UtcDay, amount, exact, finite_times, ratio, valid_symbol

# Seconds to days; a week or a month cannot be told by day.
WITHIN_A_DAY = r"^[1-9][0-9]{0,4}[smhd]$"


def starts_a_day(name: str) -> models.CheckConstraint:
    """Hold the column `day` to midnight UTC."""
    return models.CheckConstraint(condition=Q(day=UtcDay(F("day"))), name=name)


class DailyCandle(models.Model):
    """One UTC day of one symbol on one exchange, added up from its candles of one interval. It outlives the candles.

    A job keeps it; where TimescaleDB's community edition keeps an aggregate of its own, this table stays empty.
    """

    exchange = models.CharField(max_length=50)
    symbol = models.CharField(max_length=40)
    interval = models.CharField(max_length=10, help_text="Of the candles: 1m, 5m, 1h, 1d and the like.")
    day = models.DateTimeField(help_text="Start of the UTC day.")
    open = amount(help_text="Of the first candle.")
    high = amount()
    low = amount()
    close = amount(help_text="Of the last candle.")
    volume = exact(help_text="In the base currency.")
    candles = models.IntegerField(help_text="How many there were.")
    coverage = ratio(help_text="Share of the day that they cover, a fraction.")
    is_shown = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Whether `daily_ohlcv` shows this interval: the best coverage of the day, the finest of equals.",
    )
    computed_at = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="When it changed last.")

    class Meta:
        db_table = "daily_candles"
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(fields=["exchange", "symbol", "day", "interval"], name="daily_candles_unique"),
            models.UniqueConstraint(
                fields=["exchange", "symbol", "day"], condition=Q(is_shown=True), name="daily_candles_one_shown"
            ),
            models.CheckConstraint(
                condition=Q(low__gt=0)
                & Q(open__gte=F("low"), close__gte=F("low"))
                & Q(open__lte=F("high"), close__lte=F("high")),
                name="daily_candles_valid_ohlc",
            ),
            models.CheckConstraint(condition=Q(volume__gte=0), name="daily_candles_volume_not_negative"),
            models.CheckConstraint(condition=Q(candles__gt=0), name="daily_candles_has_candles"),
            models.CheckConstraint(condition=Q(coverage__gt=0, coverage__lte=1), name="daily_candles_valid_coverage"),
            models.CheckConstraint(condition=Q(interval__regex=WITHIN_A_DAY), name="daily_candles_valid_interval"),
            starts_a_day("daily_candles_whole_day"),
            valid_symbol("daily_candles_valid_symbol"),
            finite_times("daily_candles_finite_times", "day", "computed_at"),
        ]
        indexes = [
            models.Index(F("day").desc(), name="idx_daily_candles_day"),
            models.Index("symbol", F("day").desc(), name="idx_daily_ohlcv_symbol_day"),
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.interval} {self.day:%Y-%m-%d}"


class DailyCandleChange(models.Model):
    """A note that candles of one UTC day changed; the job adds that day up again and removes the note.

    A trigger on the candles writes it in their own transaction, so that a note is seen exactly when they are.
    """

    exchange = models.CharField(max_length=50)
    symbol = models.CharField(max_length=40)
    interval = models.CharField(max_length=10)
    day = models.DateTimeField(help_text="Start of the UTC day.")
    noted_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        db_table = "daily_candle_changes"
        ordering = ["day"]
        constraints = [
            starts_a_day("daily_candle_changes_whole_day"),
            valid_symbol("daily_candle_changes_valid_symbol"),
            finite_times("daily_candle_changes_finite_times", "day", "noted_at"),
        ]
        indexes = [models.Index(fields=["day", "exchange", "symbol", "interval"], name="idx_daily_candle_changes_day")]

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.interval} {self.day:%Y-%m-%d}"
