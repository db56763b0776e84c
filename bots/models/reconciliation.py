"""Cases in which two sources disagree."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import CaseKind, CaseStatus
from tradingdb.lib.fields import finite_times, one_of, valid_symbol


class ReconciliationCase(models.Model):
    """One disagreement between what was reported and what the fills say; closed by a person, never silently."""

    kind = models.CharField(max_length=30, choices=CaseKind)
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="cases", null=True, blank=True, db_index=False)
    account = models.ForeignKey(
        "bots.ExchangeAccount",
        models.PROTECT,
        related_name="cases",
        null=True,
        blank=True,
        db_index=False,
        help_text="Account it speaks of; without a bot, of all the bots on it together.",
    )
    symbol = models.CharField(max_length=40, blank=True, default="", db_default="")
    subject_id = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="Order, position or balance."
    )
    status = models.CharField(max_length=20, choices=CaseStatus, default=CaseStatus.OPEN, db_default="open")
    expected = models.JSONField(default=dict, db_default={}, help_text="What the fills say.")
    reported = models.JSONField(default=dict, db_default={}, help_text="What was told.")
    owner = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    cause = models.TextField(blank=True, default="", db_default="")
    resolution = models.TextField(blank=True, default="", db_default="")
    opened_at = models.DateTimeField(default=timezone.now, db_default=Now())
    last_seen_at = models.DateTimeField(
        default=timezone.now, db_default=Now(), help_text="Last time the difference was seen."
    )
    gone_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when the difference is no longer seen; the case stays open all the same.",
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        db_table = "reconciliation_cases"
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "account", "bot", "symbol", "subject_id"],
                condition=~Q(status=CaseStatus.RESOLVED),
                name="reconciliation_cases_one_open",
                nulls_distinct=False,
            ),
            one_of("kind", CaseKind, name="reconciliation_cases_valid_kind"),
            one_of("status", CaseStatus, name="reconciliation_cases_valid_status"),
            models.CheckConstraint(
                condition=(Q(status=CaseStatus.RESOLVED) & Q(resolved_at__isnull=False))
                | (~Q(status=CaseStatus.RESOLVED) & Q(resolved_at__isnull=True)),
                name="reconciliation_cases_resolved_has_time",
            ),
            valid_symbol("reconciliation_cases_valid_symbol", blank=True),
            finite_times("reconciliation_cases_finite_times", "opened_at", "last_seen_at", "gone_since", "resolved_at"),
        ]
        indexes = [
            models.Index("bot", F("opened_at").desc(), name="idx_reconciliation_cases_bot"),
            models.Index(F("opened_at").desc(), name="idx_cases_opened"),
            models.Index("account", F("opened_at").desc(), name="idx_cases_account"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.bot_id or self.account or 'no bot'} {self.symbol}".strip()
