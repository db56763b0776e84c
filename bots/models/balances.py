"""Balances and cash flows."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from bots.choices import CashFlowKind, SnapshotType
from tradingdb.lib.fields import amount, exact, finite_times, named, one_of, ratio


class AccountBalance(models.Model):
    """One balance a bot reported. Below zero is stored and flagged: it happened."""

    balance_id = models.CharField(max_length=100, help_text="Chosen by the bot, unique for it.")
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="balances", db_index=False)
    timestamp = TimescaleDateTimeField(interval="1 month", default=timezone.now, db_default=Now())
    total_balance = amount(help_text="In the bot's currency, without unrealised P&L.")
    available_balance = amount()
    locked_balance = amount(default=0, db_default=0)
    equity = amount(help_text="Balance and unrealised P&L together.")
    margin_used = amount(default=0, db_default=0)
    margin_available = amount(null=True, blank=True)
    margin_level = ratio(null=True, blank=True)
    unrealized_pnl = amount(default=0, db_default=0)
    realized_pnl = amount(default=0, db_default=0)
    daily_pnl = amount(default=0, db_default=0)
    snapshot_type = models.CharField(
        max_length=20, choices=SnapshotType, default=SnapshotType.PERIODIC, db_default="periodic"
    )
    flags = ArrayField(models.CharField(max_length=40), default=list, blank=True, db_default=[])
    data_source = models.CharField(max_length=50, default="exchange", db_default="exchange")
    source = models.CharField(
        max_length=50, default="api", db_default="api", help_text="api, orm, stream or import:<name>."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "account_balance"
        ordering = ["-timestamp"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "balance_id", "timestamp"], name="account_balance_unique_per_bot"),
            one_of("snapshot_type", SnapshotType, name="account_balance_valid_type"),
            named("account_balance_named", "balance_id"),
            finite_times("account_balance_finite_times", "timestamp", "created_at"),
        ]
        indexes = [
            models.Index(F("timestamp").desc(), name="idx_balance_timestamp"),
            models.Index("bot", F("timestamp").desc(), name="idx_balance_bot_time"),
            # What arrived lately: the sweep for stale metrics looks each minute. Block ranges cost next to nothing.
            BrinIndex(fields=["created_at"], name="idx_balance_arrival"),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.timestamp:%Y-%m-%d %H:%M:%SZ}"


class CashFlow(models.Model):
    """Money that came to or left a bot without trading, so that a deposit is not profit."""

    cash_flow_id = models.CharField(max_length=100, help_text="Unique for the bot; the balance_id of a deposit.")
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="cash_flows", db_index=False)
    kind = models.CharField(max_length=20, choices=CashFlowKind)
    amount = exact(help_text="Signed: positive came in. In the bot's currency.")
    currency = models.CharField(max_length=20)
    occurred_at = models.DateTimeField()
    source = models.CharField(
        max_length=50, default="api", db_default="api", help_text="api, orm, stream or import:<name>."
    )
    notes = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "cash_flows"
        ordering = ["-occurred_at"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "cash_flow_id"], name="cash_flows_unique_per_bot"),
            models.UniqueConstraint(
                fields=["bot"], condition=Q(kind=CashFlowKind.INITIAL), name="cash_flows_one_initial"
            ),
            one_of("kind", CashFlowKind, name="cash_flows_valid_kind"),
            models.CheckConstraint(
                condition=Q(kind=CashFlowKind.WITHDRAWAL, amount__lt=0)
                | Q(kind=CashFlowKind.DEPOSIT, amount__gt=0)
                | Q(kind=CashFlowKind.INITIAL, amount__gte=0)
                | Q(kind__in=[CashFlowKind.FUNDING, CashFlowKind.ADJUSTMENT]),
                name="cash_flows_sign_matches_kind",
            ),
            named("cash_flows_named", "cash_flow_id", "currency"),
            finite_times("cash_flows_finite_times", "occurred_at", "created_at"),
        ]
        indexes = [models.Index(fields=["bot", "occurred_at"], name="idx_cash_flows_bot_time")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount.normalize():f} {self.currency}"
