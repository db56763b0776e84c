"""Order books."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from tradingdb.lib.fields import finite_times, valid_symbol
from tradingdb.lib.json_rules import NoneMatch, json_lists

# A level is [price, quantity], each a number or, better, decimal text: many readers make floats of JSON numbers.
DECIMAL = r"^[0-9]{1,20}([.][0-9]{1,18})?$"
NO_PAIR = 'strict $[*] ? (@.type() != "array" || @.size() != 2)'
NO_NUMBER = (
    '@.type() != "string" && @.type() != "number" || @.type() == "number" && @ < 0'
    f' || @.type() == "string" && !(@ like_regex "{DECIMAL}")'
)
ZERO = '@.type() == "number" && @ == 0 || @.type() == "string" && !(@ like_regex "[1-9]")'
RULES = (
    (NO_PAIR, "levels_are_pairs"),
    (f"strict $[*][*] ? ({NO_NUMBER})", "levels_are_numbers"),
    (f"strict $[*][0] ? ({ZERO})", "prices_are_positive"),
)
LEVELS = Q(*(NoneMatch(F(side), path=path, says=says) for side in ("bids", "asks") for path, says in RULES))


class OrderBookSnapshot(models.Model):
    """The order book of one symbol on one exchange at one moment, best levels first."""

    symbol = models.CharField(max_length=40)
    exchange = models.CharField(max_length=50, default="bybit", db_default="bybit")
    timestamp = TimescaleDateTimeField(interval="1 month", help_text="When the book looked like this, UTC.")
    bids = models.JSONField(help_text='List of ["price", "quantity"]: quote and base currency, highest price first.')
    asks = models.JSONField(help_text='List of ["price", "quantity"]: quote and base currency, lowest price first.')
    last_update_id = models.BigIntegerField(help_text="The exchange's number of the last change in it.")
    data_source = models.CharField(
        max_length=50, default="exchange", db_default="exchange", help_text="exchange, backfill or import:<name>."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "order_book_snapshots"
        ordering = ["-timestamp"]
        constraints = [
            # The seed forgets the exchange here too.
            models.UniqueConstraint(fields=["exchange", "symbol", "timestamp"], name="order_book_snapshots_unique"),
            json_lists("order_book_snapshots_lists", "bids", "asks"),
            models.CheckConstraint(condition=LEVELS, name="order_book_snapshots_valid_levels"),
            models.CheckConstraint(condition=Q(last_update_id__gt=0), name="order_book_snapshots_positive_id"),
            valid_symbol("order_book_snapshots_valid_symbol"),
            finite_times("order_book_snapshots_finite_times", "timestamp", "created_at"),
        ]
        indexes = [
            models.Index("symbol", F("timestamp").desc(), name="idx_order_books_symbol"),
            models.Index(F("timestamp").desc(), name="idx_order_books_timestamp"),
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.timestamp:%Y-%m-%d %H:%M:%SZ}"
