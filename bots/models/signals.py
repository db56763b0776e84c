"""Trading signals."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import SignalOutcome, SignalType
from tradingdb.lib.fields import amount, exact, finite_times, named, one_of, positive, ratio, valid_symbol
from tradingdb.lib.json_rules import json_objects


class Signal(models.Model):
    """One signal of a bot's strategy, executed or not."""

    signal_id = models.CharField(max_length=100, help_text="Chosen by the bot, unique for it.")
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="signals", db_index=False)
    symbol = models.CharField(max_length=40)
    signal_type = models.CharField(max_length=20, choices=SignalType)
    strength = ratio(default=1, db_default=1, null=True, blank=True, help_text="0 to 1.")
    confidence = ratio(null=True, blank=True, help_text="0 to 1.")
    price = amount()
    suggested_stop_loss = amount(null=True, blank=True)
    suggested_take_profit = amount(null=True, blank=True)
    suggested_position_size = amount(null=True, blank=True)
    timestamp = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="When it was given, UTC.")
    valid_until = models.DateTimeField(null=True, blank=True)
    strategy = models.CharField(max_length=100, help_text="Name of its strategy.")
    parameters = models.JSONField(null=True, blank=True, help_text="What this signal was computed with.")
    indicators = models.JSONField(null=True, blank=True)
    market_conditions = models.JSONField(null=True, blank=True)
    executed = models.BooleanField(default=False, db_default=False)
    execution_time = models.DateTimeField(null=True, blank=True)
    execution_order_id = models.CharField(max_length=100, null=True, blank=True)
    execution_trade_id = models.CharField(max_length=100, null=True, blank=True)
    rejected = models.BooleanField(default=False, db_default=False)
    rejection_reason = models.CharField(max_length=100, null=True, blank=True)
    passed_filters = models.JSONField(null=True, blank=True)
    outcome = models.CharField(max_length=20, choices=SignalOutcome, null=True, blank=True)
    outcome_pnl = exact(null=True, blank=True, help_text="Net P&L of the trade it led to, in the quote currency.")
    source = models.CharField(
        max_length=50, default="api", db_default="api", help_text="api, orm, stream or import:<name>."
    )
    config_version = models.IntegerField(null=True, blank=True, help_text="Configuration in force when it was given.")
    content_hash = models.BinaryField(null=True, editable=False, help_text="Hash of what the bot sent.")
    extra_metadata = models.JSONField(
        null=True, blank=True, help_text="What an importer keeps of its source: words it mapped, fields we lack."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    notes = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "signals"
        ordering = ["-timestamp"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "signal_id"], name="signals_unique_per_bot"),
            one_of("signal_type", SignalType, name="signals_valid_type"),
            one_of("outcome", SignalOutcome, name="signals_valid_outcome"),
            models.CheckConstraint(condition=Q(strength__gte=0) & Q(strength__lte=1), name="signals_valid_strength"),
            models.CheckConstraint(
                condition=Q(confidence__gte=0) & Q(confidence__lte=1), name="signals_valid_confidence"
            ),
            models.CheckConstraint(condition=Q(price__gt=0), name="signals_positive_price"),
            named("signals_named", "signal_id", "strategy"),
            positive(
                "signals_positive_suggestions",
                "suggested_stop_loss",
                "suggested_take_profit",
                "suggested_position_size",
            ),
            models.CheckConstraint(
                condition=Q(executed=False) | Q(rejected=False), name="signals_executed_or_rejected"
            ),
            valid_symbol("signals_valid_symbol"),
            finite_times("signals_finite_times", "timestamp", "valid_until", "execution_time", "created_at"),
            json_objects("signals_json_objects", "indicators", "market_conditions", null=True),
        ]
        indexes = [
            models.Index(F("timestamp").desc(), name="idx_signals_timestamp"),
            models.Index("symbol", F("timestamp").desc(), name="idx_signals_symbol"),
            models.Index("bot", "symbol", F("timestamp").desc(), name="idx_signals_bot_symbol"),
            models.Index("bot", F("timestamp").desc(), name="idx_signals_bot_id"),
            models.Index("strategy", F("timestamp").desc(), name="idx_signals_strategy"),
            models.Index(fields=["timestamp"], condition=Q(executed=False), name="idx_signals_executed"),
            # The signals of a symbol that nobody has acted on; the rest is history, found by symbol and time.
            models.Index(
                "symbol", F("timestamp").desc(), condition=Q(executed=False), name="idx_strategy_signals_lookup"
            ),
            GinIndex(fields=["indicators"], name="idx_signals_indicators", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.signal_type} {self.symbol}"
