"""Fills whose bot is not known: the inbox of an account."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import InboxStatus, Liquidity, Side
from tradingdb.lib.fields import amount, finite_times, named, one_of, valid_symbol
from tradingdb.lib.json_rules import json_lists, json_objects


class UnattributedFill(models.Model):
    """One execution at an account whose bot is not known; staff assign it to a bot of that account, or dismiss it.

    It counts nowhere until it is a fill. A fill of the same execution settles the row by itself, by a trigger.
    """

    account = models.ForeignKey(
        "bots.ExchangeAccount", models.PROTECT, related_name="unattributed_fills", db_index=False
    )
    exchange_trade_id = models.CharField(max_length=100, help_text="The exchange's execution id.")
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=10, choices=Side)
    price = amount(help_text="In the quote currency.")
    quantity = amount(help_text="In the base currency.")
    fee = amount(null=True, blank=True, help_text="In fee_currency; negative is a rebate.")
    fee_currency = models.CharField(max_length=20, null=True, blank=True)
    liquidity = models.CharField(max_length=10, choices=Liquidity, null=True, blank=True)
    executed_at = models.DateTimeField(help_text="When the exchange executed it, UTC.")
    exchange_order_id = models.CharField(max_length=100, null=True, blank=True)
    client_order_id = models.CharField(max_length=100, null=True, blank=True)
    body = models.JSONField(help_text="As it came, in its canonical form.")
    other_bodies = models.JSONField(
        default=list, blank=True, db_default=[], help_text="Other content that came for the same execution."
    )
    content_hash = models.BinaryField(editable=False, help_text="Hash of the body.")
    source = models.CharField(
        max_length=50, default="stream", db_default="stream", help_text="stream or import:<name>."
    )
    received_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    status = models.CharField(max_length=20, choices=InboxStatus, default=InboxStatus.OPEN, db_default="open")
    bot = models.ForeignKey(
        "bots.Bot", models.PROTECT, related_name="+", null=True, blank=True, help_text="Bot whose fill it is."
    )
    fill_id = models.CharField(max_length=100, null=True, blank=True, help_text="Fill that it is in the ledger.")
    reason = models.TextField(blank=True, default="", db_default="", help_text="Why it was assigned or dismissed.")
    note = models.TextField(blank=True, default="", db_default="", help_text="How it was settled without a person.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        db_table = "unattributed_fills"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "symbol", "exchange_trade_id"], name="unattributed_fills_unique_execution"
            ),
            one_of("side", Side, name="unattributed_fills_valid_side"),
            one_of("liquidity", Liquidity, name="unattributed_fills_valid_liquidity"),
            one_of("status", InboxStatus, name="unattributed_fills_valid_status"),
            models.CheckConstraint(condition=Q(price__gt=0), name="unattributed_fills_positive_price"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="unattributed_fills_positive_quantity"),
            models.CheckConstraint(
                condition=Q(status=InboxStatus.OPEN, resolved_at__isnull=True)
                | (~Q(status=InboxStatus.OPEN) & Q(resolved_at__isnull=False)),
                name="unattributed_fills_settled_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status=InboxStatus.ASSIGNED, bot__isnull=False, fill_id__isnull=False)
                | (~Q(status=InboxStatus.ASSIGNED) & Q(bot__isnull=True, fill_id__isnull=True)),
                name="unattributed_fills_assigned_has_fill",
            ),
            models.CheckConstraint(
                condition=~Q(status=InboxStatus.DISMISSED) | ~Q(reason=""),
                name="unattributed_fills_dismissed_has_reason",
            ),
            named("unattributed_fills_named", "exchange_trade_id"),
            valid_symbol("unattributed_fills_valid_symbol"),
            json_objects("unattributed_fills_json_objects", "body"),
            json_lists("unattributed_fills_json_lists", "other_bodies"),
            finite_times("unattributed_fills_finite_times", "executed_at", "received_at", "resolved_at"),
        ]
        indexes = [
            models.Index(
                fields=["account", "symbol"],
                condition=Q(status=InboxStatus.OPEN),
                name="idx_unattributed_fills_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.symbol} at {self.price.normalize():f}"
