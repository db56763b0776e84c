"""Orders and their history."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from bots.choices import (
    ACTIVE_ORDER_STATUSES,
    TERMINAL_ORDER_STATUSES,
    OrderIntent,
    OrderPurpose,
    OrderStatus,
    OrderType,
    Side,
)
from tradingdb.lib.fields import amount, exact, finite_times, named, not_negative, one_of, positive, valid_symbol
from tradingdb.lib.json_rules import json_objects

ACTIVE = [str(status) for status in ACTIVE_ORDER_STATUSES]
ENDED_UNFILLED = [str(status) for status in TERMINAL_ORDER_STATUSES if status != OrderStatus.FILLED]


class OrderQuerySet(models.QuerySet["Order"]):
    def active(self) -> Self:
        """Orders the exchange may still fill."""
        return self.filter(status__in=ACTIVE_ORDER_STATUSES)

    def for_bot(self, bot_id: str) -> Self:
        return self.filter(bot_id=bot_id)


class Order(models.Model):
    """One order of one bot. What was filled is derived from its fills; rows are never deleted."""

    order_id = models.CharField(max_length=100, help_text="Chosen by the bot, unique for it.")
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="orders", db_index=False)
    symbol = models.CharField(max_length=40)
    exchange_order_id = models.CharField(max_length=100, null=True, blank=True)
    client_order_id = models.CharField(max_length=100, null=True, blank=True)
    order_type = models.CharField(max_length=20, choices=OrderType)
    side = models.CharField(max_length=10, choices=Side)
    intent = models.CharField(max_length=10, choices=OrderIntent, default=OrderIntent.REQUEST, db_default="request")
    quantity = amount(help_text="In the base currency.")
    filled_quantity = amount(default=0, db_default=0, help_text="Sum of its fills, also beyond the quantity.")
    remaining_quantity = models.GeneratedField(
        expression=Greatest(F("quantity") - F("filled_quantity"), Value(0)), output_field=amount(), db_persist=True
    )
    filled_notional = exact(default=0, db_default=0, help_text="Sum of price x quantity of its fills, exact.")
    price = amount(null=True, blank=True, help_text="Limit price; NULL for market orders.")
    avg_fill_price = amount(null=True, blank=True, help_text="Quantity-weighted mean of its fills.")
    stop_price = amount(null=True, blank=True)
    leverage = amount(null=True, blank=True)
    reduce_only = models.BooleanField(default=False, db_default=False)
    is_paper_trade = models.BooleanField(default=False, db_default=False)
    status = models.CharField(max_length=20, choices=OrderStatus, default=OrderStatus.PENDING, db_default="pending")
    reported_status = models.CharField(
        max_length=20, choices=OrderStatus, default=OrderStatus.PENDING, db_default="pending",
        help_text="Last status told for it; `status` follows from this and from the fills.",
    )  # fmt: skip
    reported_at = models.DateTimeField(
        null=True, blank=True, help_text="Time of the last status told; older news is stale."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="When the bot made it, UTC.")
    submitted_at = models.DateTimeField(null=True, blank=True)
    filled_at = models.DateTimeField(null=True, blank=True, help_text="Time of the fill that completed it.")
    closed_at = models.GeneratedField(
        # An order that came as ended, or that we refused, ended when it was made.
        expression=Case(
            When(status=OrderStatus.FILLED.value, then=F("filled_at")),
            When(status__in=ENDED_UNFILLED, then=Coalesce(F("reported_at"), F("created_at"))),
        ),
        output_field=models.DateTimeField(),
        db_persist=True,
        help_text="When it ended, filled or not; NULL while it is active.",
    )
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    received_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    fees = exact(default=0, db_default=0, help_text="Sum of its fills' fees, in the quote currency.")
    commission = exact(default=0, db_default=0, help_text="As the source reported it; fees are derived.")
    order_purpose = models.CharField(max_length=30, choices=OrderPurpose, null=True, blank=True)
    strategy = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="Name of its strategy."
    )
    signal_id = models.CharField(max_length=100, null=True, blank=True)
    position_id = models.CharField(max_length=100, null=True, blank=True)
    trade_id = models.CharField(max_length=100, null=True, blank=True)
    rejection_reason = models.TextField(null=True, blank=True)
    error_code = models.CharField(max_length=50, null=True, blank=True)
    retry_count = models.IntegerField(default=0, db_default=0)
    order_metadata = models.JSONField(null=True, blank=True)
    flags = ArrayField(models.CharField(max_length=40), default=list, blank=True, db_default=[])
    source = models.CharField(
        max_length=50, default="api", db_default="api", help_text="api, orm, stream or import:<name>."
    )
    config_version = models.IntegerField(null=True, blank=True, help_text="Configuration in force when it was made.")
    content_hash = models.BinaryField(null=True, editable=False, help_text="Hash of what the bot sent.")
    control_seq = models.BigIntegerField(
        null=True, blank=True, editable=False,
        help_text="Newest control change it was admitted under, 0 for none; NULL when refused, or only reported.",
    )  # fmt: skip

    objects = OrderQuerySet.as_manager()

    class Meta:
        db_table = "orders"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "order_id"], name="orders_unique_per_bot"),
            one_of("order_type", OrderType, name="orders_valid_order_type"),
            one_of("side", Side, name="orders_valid_side"),
            one_of("intent", OrderIntent, name="orders_valid_intent"),
            one_of("status", OrderStatus, name="orders_valid_status"),
            one_of("reported_status", OrderStatus, name="orders_valid_reported_status"),
            one_of("order_purpose", OrderPurpose, name="orders_valid_purpose"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="orders_positive_quantity"),
            models.CheckConstraint(condition=Q(filled_quantity__gte=0), name="orders_filled_not_negative"),
            models.CheckConstraint(condition=Q(price__isnull=True) | Q(price__gt=0), name="orders_positive_price"),
            models.CheckConstraint(
                # An order is filled exactly when nothing remains: the one rule every report relies on.
                condition=Q(status=OrderStatus.FILLED, filled_quantity__gte=F("quantity"))
                | (~Q(status=OrderStatus.FILLED) & Q(filled_quantity__lt=F("quantity"))),
                name="orders_filled_when_nothing_remains",
            ),
            models.CheckConstraint(
                # What it was checked against came before it: both are numbered by one counter.
                condition=Q(control_seq__isnull=True) | Q(intent=OrderIntent.REQUEST, control_seq__gte=0),
                name="orders_admitted_are_requests",
            ),
            named("orders_named", "order_id"),
            positive("orders_positive_stop_price", "stop_price"),
            positive("orders_positive_leverage", "leverage"),
            not_negative("orders_retries_not_negative", "retry_count"),
            models.CheckConstraint(
                condition=~Q(order_type__in=[OrderType.LIMIT.value, OrderType.STOP_LIMIT.value])
                | Q(price__isnull=False),
                name="orders_limit_has_price",
            ),
            valid_symbol("orders_valid_symbol"),
            finite_times(
                "orders_finite_times",
                "reported_at",
                "created_at",
                "submitted_at",
                "filled_at",
                "updated_at",
                "received_at",
            ),
            json_objects("orders_json_objects", "order_metadata", null=True),
        ]
        indexes = [
            models.Index("bot", F("created_at").desc(), name="idx_orders_bot_id"),
            models.Index("symbol", F("created_at").desc(), name="idx_orders_symbol"),
            models.Index("status", F("created_at").desc(), name="idx_orders_status"),
            models.Index(fields=["exchange_order_id"], name="idx_orders_exchange_id"),
            models.Index(F("created_at").desc(), name="idx_orders_created_at"),
            models.Index(fields=["position_id"], condition=Q(position_id__isnull=False), name="idx_orders_position_id"),
            models.Index(fields=["bot", "symbol"], condition=Q(status__in=ACTIVE), name="idx_orders_active"),
            models.Index(fields=["symbol", "status"], condition=Q(status__in=ACTIVE), name="idx_orders_symbol_status"),
            models.Index("strategy", F("created_at").desc(), name="idx_orders_strategy"),
            # What was written lately: the sweep of the invariants looks each minute.
            BrinIndex(fields=["updated_at"], name="idx_orders_written"),
        ]

    def __str__(self) -> str:
        return self.order_id


class OrderEvent(models.Model):
    """One thing told about an order's status, applied or not. Append-only."""

    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="+", db_index=False)
    order_id = models.CharField(max_length=100)
    from_status = models.CharField(max_length=20, choices=OrderStatus, null=True, blank=True)
    to_status = models.CharField(
        max_length=20, choices=OrderStatus, null=True, blank=True, help_text="NULL: other news."
    )
    was_applied = models.BooleanField(default=True, db_default=True, help_text="Off: kept, but the status stayed.")
    flags = ArrayField(models.CharField(max_length=40), default=list, blank=True, db_default=[])
    at = models.DateTimeField(help_text="When it happened, as told; UTC.")
    fill_id = models.CharField(max_length=100, null=True, blank=True, help_text="Fill that caused it.")
    details = models.JSONField(default=dict, blank=True, db_default={})
    content_hash = models.BinaryField(null=True, editable=False, help_text="Hash of what the bot sent.")
    source = models.CharField(max_length=50, default="api", db_default="api")
    received_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "order_events"
        ordering = ["-id"]
        constraints = [
            one_of("from_status", OrderStatus, name="order_events_valid_from"),
            one_of("to_status", OrderStatus, name="order_events_valid_to"),
            finite_times("order_events_finite_times", "at", "received_at"),
        ]
        indexes = [models.Index(fields=["bot", "order_id", "id"], name="idx_order_events_order")]

    def __str__(self) -> str:
        return f"{self.order_id}: {self.from_status} to {self.to_status}"
