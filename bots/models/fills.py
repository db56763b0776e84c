"""Fills: the truth everything else is derived from."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import Liquidity, Side
from tradingdb.lib.fields import amount, exact, finite_times, named, one_of, valid_symbol


class Fill(models.Model):
    """One execution at an exchange. What came from outside never changes; the derived columns follow the fold.

    A fill that crosses zero closes `position_id` with `closed_quantity` and opens `opened_position_id` with the rest.
    """

    # Byte order, the same as Python's: the fold's order must not depend on the server's locale.
    fill_id = models.CharField(max_length=100, db_collation="C", help_text="Chosen by the bot, unique for it.")
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="fills", db_index=False)
    account = models.ForeignKey("bots.ExchangeAccount", models.PROTECT, related_name="fills", db_index=False)
    order_id = models.CharField(max_length=100)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=10, choices=Side)
    price = amount(help_text="In the quote currency.")
    quantity = amount(help_text="In the base currency.")
    fee = amount(null=True, blank=True, help_text="In fee_currency; negative is a rebate.")
    fee_currency = models.CharField(max_length=20, null=True, blank=True)
    fee_rate = exact(null=True, blank=True, help_text="Price of fee_currency in the quote currency; NULL: not known.")
    liquidity = models.CharField(max_length=10, choices=Liquidity, null=True, blank=True)
    exchange_trade_id = models.CharField(
        max_length=100, null=True, blank=True, help_text="The exchange's execution id."
    )
    executed_at = models.DateTimeField(help_text="When the exchange executed it, UTC.")
    received_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    # Derived by the fold
    position_id = models.CharField(max_length=100, null=True, blank=True)
    opened_position_id = models.CharField(max_length=100, null=True, blank=True)
    closed_quantity = amount(default=0, db_default=0, help_text="How much of it reduced a position.")
    fee_quote = exact(default=0, db_default=0, help_text="The fee in the quote currency; 0 while no rate is known.")
    closing_fee_quote = exact(
        default=0, db_default=0, help_text="The share of fee_quote that falls on closed_quantity."
    )
    realized_pnl = exact(default=0, db_default=0, help_text="Gross P&L it realised, in the quote currency.")
    flags = ArrayField(models.CharField(max_length=40), default=list, blank=True, db_default=[])
    source = models.CharField(
        max_length=50, default="api", db_default="api", help_text="api, orm, stream or import:<name>."
    )
    config_version = models.IntegerField(null=True, blank=True, help_text="Configuration in force when it came.")
    content_hash = models.BinaryField(null=True, editable=False, help_text="Hash of what the bot sent.")

    class Meta:
        db_table = "fills"
        ordering = ["-executed_at", "-fill_id"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "fill_id"], name="fills_unique_per_bot"),
            # Exchanges count executions per symbol, so the symbol belongs to the key.
            models.UniqueConstraint(
                fields=["account", "symbol", "exchange_trade_id"],
                condition=Q(exchange_trade_id__isnull=False),
                name="fills_unique_execution",
            ),
            one_of("side", Side, name="fills_valid_side"),
            one_of("liquidity", Liquidity, name="fills_valid_liquidity"),
            models.CheckConstraint(condition=Q(price__gt=0), name="fills_positive_price"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="fills_positive_quantity"),
            models.CheckConstraint(
                condition=Q(closed_quantity__gte=0) & Q(closed_quantity__lte=F("quantity")),
                name="fills_closed_within_quantity",
            ),
            named("fills_named", "fill_id"),
            valid_symbol("fills_valid_symbol"),
            finite_times("fills_finite_times", "executed_at", "received_at"),
        ]
        indexes = [
            models.Index(fields=["bot", "symbol", "executed_at", "fill_id"], name="idx_fills_fold"),
            models.Index(fields=["bot", "order_id"], name="idx_fills_order"),
            models.Index(fields=["bot", "position_id"], name="idx_fills_position"),
            models.Index("bot", F("executed_at").desc(), name="idx_fills_bot_time"),
            models.Index(F("executed_at").desc(), name="idx_fills_time"),
            # What arrived lately: the sweep for stale metrics looks each minute. Block ranges cost next to nothing.
            BrinIndex(fields=["received_at"], name="idx_fills_arrival"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.symbol} at {self.price.normalize():f}"
