"""Trades: round trips from flat to flat."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import Direction, ExitReason, MarketRegime, OrderType, TradeOrigin, TradeStatus
from tradingdb.lib.fields import (
    amount,
    exact,
    finite_times,
    fractions,
    named,
    not_negative,
    one_of,
    positive,
    ratio,
    valid_symbol,
)
from tradingdb.lib.json_rules import json_objects


class TradeQuerySet(models.QuerySet["Trade"]):
    def closed(self) -> Self:
        """Finished round trips."""
        return self.filter(exit_time__isnull=False)


class Trade(models.Model):
    """One round trip of one bot: opens with the first fill, closes when flat. One row spans flat to flat."""

    trade_id = models.CharField(max_length=100, help_text="Chosen by the bot, or derived from the opening fill.")
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="trades", db_index=False)
    origin = models.CharField(max_length=10, choices=TradeOrigin, default=TradeOrigin.FILLS, db_default="fills")
    position_id = models.CharField(max_length=100, null=True, blank=True)
    symbol = models.CharField(max_length=40)
    exchange_order_id = models.CharField(max_length=100, null=True, blank=True)
    side = models.CharField(max_length=10, choices=Direction)
    trade_type = models.CharField(max_length=20, choices=OrderType, default=OrderType.MARKET, db_default="market")
    quantity = amount(help_text="All that was entered, in the base currency.")
    entry_price = amount(help_text="Quantity-weighted mean of the entries.")
    exit_price = amount(null=True, blank=True, help_text="Quantity-weighted mean of the exits.")
    avg_fill_price = amount(null=True, blank=True)
    position_size_usd = exact(help_text="Notional of the entries, in the quote currency.")
    leverage = amount(default=1, db_default=1)
    stop_loss = amount(null=True, blank=True)
    take_profit = amount(null=True, blank=True)
    trailing_stop_pct = ratio(null=True, blank=True, help_text="Fraction (0.02 is 2 %).")
    status = models.CharField(max_length=20, choices=TradeStatus, default=TradeStatus.FILLED, db_default="filled")
    entry_time = models.DateTimeField()
    exit_time = models.DateTimeField(null=True, blank=True)
    holding_time_seconds = models.IntegerField(null=True, blank=True)
    gross_pnl = exact(default=0, db_default=0, help_text="Realised so far, before fees, in the quote currency.")
    fees = exact(default=0, db_default=0, help_text="In the quote currency.")
    pnl_usd = models.GeneratedField(expression=F("gross_pnl") - F("fees"), output_field=exact(), db_persist=True)
    pnl_pct = ratio(default=0, db_default=0, help_text="Net P&L as a fraction of the entries' notional.")
    reported_pnl = exact(null=True, blank=True, help_text="What the bot says it earned; ours is computed.")
    commission = exact(default=0, db_default=0, help_text="As the source reported it; fees are derived.")
    slippage = exact(default=0, db_default=0)
    exit_reason = models.CharField(max_length=50, choices=ExitReason, null=True, blank=True)
    entry_logic = models.CharField(max_length=100, null=True, blank=True)
    exit_logic = models.CharField(max_length=100, null=True, blank=True)
    interval = models.CharField(max_length=10, null=True, blank=True)
    max_favorable_excursion = exact(null=True, blank=True, help_text="Best open P&L, in the quote currency.")
    max_adverse_excursion = exact(null=True, blank=True, help_text="Worst open P&L, in the quote currency.")
    strategy = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="Name of its strategy."
    )
    signal_strength = ratio(null=True, blank=True)
    confidence_score = ratio(null=True, blank=True)
    strategy_params = models.JSONField(null=True, blank=True)
    market_regime = models.CharField(max_length=30, choices=MarketRegime, null=True, blank=True)
    entry_conditions = models.JSONField(null=True, blank=True)
    exit_conditions = models.JSONField(null=True, blank=True)
    extra_metadata = models.JSONField(
        null=True, blank=True, help_text="What an importer keeps of its source: words it mapped, fields we lack."
    )
    # Of a round trip without stored orders: when the source made each of its two orders, and when that one ended.
    buy_order_created = models.DateTimeField(null=True, blank=True, help_text="As the source reported it, UTC.")
    buy_order_closed = models.DateTimeField(null=True, blank=True, help_text="As the source reported it, UTC.")
    sell_order_created = models.DateTimeField(null=True, blank=True, help_text="As the source reported it, UTC.")
    sell_order_closed = models.DateTimeField(null=True, blank=True, help_text="As the source reported it, UTC.")
    is_paper_trade = models.BooleanField(default=False, db_default=False)
    flags = ArrayField(models.CharField(max_length=40), default=list, blank=True, db_default=[])
    source = models.CharField(
        max_length=50, default="api", db_default="api", help_text="api, orm, stream or import:<name>."
    )
    config_version = models.IntegerField(null=True, blank=True)
    content_hash = models.BinaryField(null=True, editable=False, help_text="Hash of what the bot sent.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    notes = models.TextField(null=True, blank=True)

    objects = TradeQuerySet.as_manager()

    class Meta:
        db_table = "trades"
        ordering = ["-entry_time"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "trade_id"], name="trades_unique_per_bot"),
            models.UniqueConstraint(
                fields=["bot", "position_id"], condition=Q(position_id__isnull=False), name="trades_one_per_position"
            ),
            one_of("side", Direction, name="trades_valid_side"),
            one_of("origin", TradeOrigin, name="trades_valid_origin"),
            one_of("status", TradeStatus, name="trades_valid_status"),
            one_of("trade_type", OrderType, name="trades_valid_type"),
            one_of("exit_reason", ExitReason, name="trades_valid_exit_reason"),
            one_of("market_regime", MarketRegime, name="trades_valid_regime"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="trades_positive_quantity"),
            models.CheckConstraint(condition=Q(entry_price__gt=0), name="trades_positive_price"),
            models.CheckConstraint(
                condition=Q(exit_time__isnull=True, exit_price__isnull=True)
                | Q(exit_time__isnull=False, exit_price__isnull=False, exit_time__gte=F("entry_time")),
                name="trades_exit_is_whole",
            ),
            models.CheckConstraint(
                condition=(Q(buy_order_closed__isnull=True) | Q(buy_order_closed__gte=F("buy_order_created")))
                & (Q(sell_order_closed__isnull=True) | Q(sell_order_closed__gte=F("sell_order_created"))),
                name="trades_orders_end_after_start",
            ),
            named("trades_named", "trade_id"),
            positive("trades_positive_prices", "exit_price", "avg_fill_price", "stop_loss", "take_profit"),
            positive("trades_positive_leverage", "leverage"),
            not_negative("trades_size_not_negative", "position_size_usd"),
            not_negative("trades_holding_not_negative", "holding_time_seconds"),
            fractions("trades_valid_strength", "signal_strength", "confidence_score"),
            fractions("trades_trailing_is_fraction", "trailing_stop_pct"),
            valid_symbol("trades_valid_symbol"),
            finite_times(
                "trades_finite_times",
                "entry_time",
                "exit_time",
                "created_at",
                "updated_at",
                "buy_order_created",
                "buy_order_closed",
                "sell_order_created",
                "sell_order_closed",
            ),
            json_objects("trades_json_objects", "strategy_params", "entry_conditions", "exit_conditions", null=True),
        ]
        indexes = [
            models.Index("symbol", F("entry_time").desc(), name="idx_trades_symbol"),
            models.Index(F("entry_time").desc(), name="idx_trades_entry_time"),
            models.Index("bot", "symbol", F("entry_time").desc(), name="idx_trades_bot_symbol"),
            models.Index("bot", F("entry_time").desc(), name="idx_trades_bot_time"),
            models.Index(
                "bot", F("exit_time").desc(), name="idx_trades_bot_exit", condition=Q(exit_time__isnull=False)
            ),
            models.Index(F("exit_time").desc(), name="idx_trades_exit_time", condition=Q(exit_time__isnull=False)),
            models.Index(fields=["bot", "symbol"], condition=Q(exit_time__isnull=True), name="idx_trades_open"),
            models.Index("status", F("entry_time").desc(), name="idx_trades_status"),
            models.Index("strategy", F("entry_time").desc(), name="idx_trades_strategy"),
            GinIndex(fields=["strategy_params"], name="idx_trades_strategy_params", opclasses=["jsonb_path_ops"]),
            GinIndex(fields=["entry_conditions"], name="idx_trades_entry_conditions", opclasses=["jsonb_path_ops"]),
            # What was written lately: the sweep of the invariants looks each minute.
            BrinIndex(fields=["updated_at"], name="idx_trades_written"),
        ]

    def __str__(self) -> str:
        return self.trade_id
