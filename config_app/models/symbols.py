"""Symbols that the house watches."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from config_app.choices import Timeframe
from tradingdb.lib.fields import amount, finite_times, valid_symbol

ASSET = r"^[A-Z0-9]{1,20}$"


class WatchedSymbol(models.Model):
    """One trading pair that is watched: its timeframes, and how fine and how small its orders may be."""

    symbol = models.CharField(max_length=40, unique=True, help_text="For example BTCUSDT.")
    base_asset = models.CharField(max_length=20, help_text="What is bought, for example BTC.")
    quote_asset = models.CharField(max_length=20, help_text="What is paid, for example USDT.")
    is_active = models.BooleanField(default=True, db_default=True, help_text="Off: no longer watched.")
    timeframes = models.JSONField(default=list, db_default=[], help_text='Candles to keep, for example ["1m", "4h"].')
    price_precision = models.IntegerField(help_text="Most decimal places of a price.")
    quantity_precision = models.IntegerField(help_text="Most decimal places of a quantity.")
    min_notional = amount(help_text="Smallest price times quantity, in the quote asset.")
    min_quantity = amount(help_text="Smallest quantity, in the base asset.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        db_table = "watched_symbols"
        ordering = ["symbol"]
        constraints = [
            valid_symbol("watched_symbols_valid_symbol"),
            models.CheckConstraint(
                condition=Q(base_asset__regex=ASSET) & Q(quote_asset__regex=ASSET) & ~Q(base_asset=F("quote_asset")),
                name="watched_symbols_valid_assets",
            ),
            models.CheckConstraint(
                # A text in place of a list is contained in the list too.
                condition=Q(timeframes__contained_by=list(Timeframe.values)) & Q(timeframes__contains=[]),
                name="watched_symbols_valid_timeframes",
            ),
            models.CheckConstraint(
                condition=Q(price_precision__gte=0, price_precision__lte=18)
                & Q(quantity_precision__gte=0, quantity_precision__lte=18),
                name="watched_symbols_valid_precision",
            ),
            models.CheckConstraint(
                condition=Q(min_notional__gte=0) & Q(min_quantity__gte=0), name="watched_symbols_minimums_not_negative"
            ),
            finite_times("watched_symbols_finite_times", "created_at", "updated_at"),
        ]
        indexes = [models.Index(fields=["is_active"], name="idx_watched_symbols_active")]

    def __str__(self) -> str:
        return self.symbol
