"""Positions, derived from fills."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import OPEN_POSITION_STATUSES, Direction, PositionStatus
from tradingdb.lib.fields import amount, exact, finite_times, fractions, named, one_of, positive, ratio, valid_symbol
from tradingdb.lib.json_rules import json_objects

OPEN = [str(status) for status in OPEN_POSITION_STATUSES]


class PositionQuerySet(models.QuerySet["Position"]):
    def open(self) -> Self:
        """Positions that are not flat."""
        return self.filter(status__in=OPEN)


class Position(models.Model):
    """One position of one bot in one symbol, from flat to flat. Size, prices and P&L come from fills alone."""

    position_id = models.CharField(max_length=100, help_text="Derived from the fill that opened it.")
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="positions", db_index=False)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=10, choices=Direction)
    size = amount(help_text="What is held now, in the base currency; 0 when closed.")
    quantity = amount(help_text="All that was ever entered, in the base currency.")
    avg_entry_price = amount(help_text="Average cost of what is held (of all that was entered, once closed).")
    cost_basis = exact(default=0, db_default=0, help_text="Exact cost of what is held; the average derives from it.")
    entry_notional = exact(default=0, db_default=0, help_text="Sum of price x quantity of all entries.")
    exit_notional = exact(default=0, db_default=0, help_text="Sum of price x quantity of all exits.")
    current_price = amount(null=True, blank=True, help_text="Last mark.")
    marked_at = models.DateTimeField(
        null=True, blank=True, help_text="Time of the last mark; NULL: what was paid last."
    )
    leverage = amount(default=1, db_default=1)
    unrealized_pnl = exact(default=0, db_default=0, help_text="At the last mark, in the quote currency.")
    realized_pnl = exact(default=0, db_default=0, help_text="Gross, in the quote currency.")
    total_pnl = models.GeneratedField(
        expression=F("realized_pnl") + F("unrealized_pnl"), output_field=exact(), db_persist=True
    )
    unrealized_pnl_pct = ratio(null=True, blank=True, help_text="Fraction of the cost basis.")
    fees = exact(default=0, db_default=0, help_text="In the quote currency.")
    stop_loss = amount(null=True, blank=True)
    take_profit = amount(null=True, blank=True)
    take_profit_levels = models.JSONField(null=True, blank=True, help_text="Ladder: price and share of each step.")
    trailing_stop = models.JSONField(null=True, blank=True)
    trailing_stop_pct = ratio(null=True, blank=True, help_text="Fraction (0.02 is 2 %).")
    highest_price = amount(null=True, blank=True)
    lowest_price = amount(null=True, blank=True)
    status = models.CharField(max_length=20, choices=PositionStatus, default=PositionStatus.OPEN, db_default="open")
    opened_at = models.DateTimeField(default=timezone.now, db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)
    last_updated = models.DateTimeField(default=timezone.now, db_default=Now())
    opening_fill_id = models.CharField(max_length=100, db_collation="C", blank=True, default="", db_default="")
    closing_fill_id = models.CharField(max_length=100, db_collation="C", null=True, blank=True)
    last_fill_id = models.CharField(max_length=100, db_collation="C", blank=True, default="", db_default="")
    last_fill_at = models.DateTimeField(null=True, blank=True)
    fill_count = models.IntegerField(default=0, db_default=0)
    entry_trade_ids = ArrayField(
        models.TextField(), default=list, blank=True, db_default=[], help_text="Fills that entered."
    )
    exit_trade_ids = ArrayField(
        models.TextField(), default=list, blank=True, db_default=[], help_text="Fills that left."
    )
    strategy = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="Name of its strategy."
    )
    entry_signal = models.JSONField(null=True, blank=True)
    position_metadata = models.JSONField(null=True, blank=True)
    version = models.BigIntegerField(
        default=1, db_default=1, help_text="Grows with every change; the live layer orders by it."
    )
    source = models.CharField(
        max_length=50, default="api", db_default="api", help_text="api, orm, stream or import:<name>."
    )
    config_version = models.IntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    notes = models.TextField(null=True, blank=True)

    objects = PositionQuerySet.as_manager()

    class Meta:
        db_table = "positions"
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "position_id"], name="positions_unique_per_bot"),
            models.UniqueConstraint(fields=["bot", "symbol"], condition=Q(status__in=OPEN), name="positions_one_open"),
            one_of("side", Direction, name="positions_valid_side"),
            one_of("status", PositionStatus, name="positions_valid_status"),
            models.CheckConstraint(
                condition=Q(status__in=OPEN, size__gt=0, closed_at__isnull=True)
                | (~Q(status__in=OPEN) & Q(size=0, closed_at__isnull=False)),
                name="positions_closed_when_flat",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True) | Q(closed_at__gte=F("opened_at")),
                name="positions_close_after_open",
            ),
            models.CheckConstraint(condition=Q(cost_basis__gte=0), name="positions_cost_not_negative"),
            named("positions_named", "position_id"),
            positive("positions_positive_quantity", "quantity"),
            positive(
                "positions_positive_prices",
                "avg_entry_price",
                "current_price",
                "stop_loss",
                "take_profit",
                "highest_price",
                "lowest_price",
            ),
            models.CheckConstraint(condition=Q(highest_price__gte=F("lowest_price")), name="positions_high_above_low"),
            positive("positions_positive_leverage", "leverage"),
            fractions("positions_trailing_is_fraction", "trailing_stop_pct"),
            valid_symbol("positions_valid_symbol"),
            finite_times(
                "positions_finite_times",
                "marked_at",
                "opened_at",
                "closed_at",
                "last_updated",
                "last_fill_at",
                "created_at",
                "updated_at",
            ),
            json_objects("positions_json_objects", "entry_signal", "position_metadata", null=True),
        ]
        indexes = [
            models.Index("bot", F("opened_at").desc(), name="idx_positions_bot_id"),
            models.Index("symbol", F("opened_at").desc(), name="idx_positions_symbol"),
            models.Index("bot", "symbol", F("opened_at").desc(), name="idx_positions_bot_symbol"),
            models.Index(F("opened_at").desc(), name="idx_positions_opened_at"),
            models.Index("strategy", F("opened_at").desc(), name="idx_positions_strategy"),
            models.Index(fields=["status"], condition=Q(status__in=OPEN), name="idx_positions_status"),
            models.Index(fields=["symbol", "status"], condition=Q(status__in=OPEN), name="idx_positions_symbol_status"),
            GinIndex(fields=["entry_trade_ids"], name="idx_positions_entry_trades"),
            # What was written lately: the sweep of the invariants looks each minute.
            BrinIndex(fields=["updated_at"], name="idx_positions_written"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.symbol} of {self.bot_id}"
