"""Facts on their way in: parked ones, conflicting ones, and keys of those whose table cannot hold a unique id."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import ConflictDecision, ConflictStatus, FactKind, ParkedState
from tradingdb.lib.fields import finite_times, named, one_of


class IngestKey(models.Model):
    """One natural id of a fact in a time-series table, where a unique key would have to hold the time as well."""

    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=20, choices=FactKind)
    natural_id = models.CharField(max_length=100)
    content_hash = models.BinaryField(help_text="Hash of what the bot sent.")
    fact_at = models.DateTimeField(help_text="Time of the fact in its table.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "ingest_keys"
        constraints = [
            models.UniqueConstraint(fields=["bot", "kind", "natural_id"], name="ingest_keys_unique"),
            one_of("kind", FactKind, name="ingest_keys_valid_kind"),
            named("ingest_keys_named", "natural_id"),
            finite_times("ingest_keys_finite_times", "fact_at", "created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.natural_id}"


class ParkedFact(models.Model):
    """A fill or an order update that came before its order; applied in the transaction that brings the order."""

    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="parked_facts", db_index=False)
    kind = models.CharField(max_length=20, choices=FactKind)
    fact_id = models.CharField(max_length=200, help_text="fill_id, or the hash of an order update.")
    order_id = models.CharField(max_length=100)
    body = models.JSONField(help_text="The fact as it came, in its canonical form.")
    content_hash = models.BinaryField(editable=False, help_text="Hash of what the bot sent.")
    state = models.CharField(max_length=10, choices=ParkedState, default=ParkedState.PARKED, db_default="parked")
    received_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    applied_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(
        max_length=50, default="api", db_default="api", help_text="api, orm, stream or import:<name>."
    )

    class Meta:
        db_table = "parked_facts"
        ordering = ["-received_at"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "kind", "fact_id"], name="parked_facts_unique"),
            one_of("kind", FactKind, name="parked_facts_valid_kind"),
            one_of("state", ParkedState, name="parked_facts_valid_state"),
            models.CheckConstraint(
                condition=Q(state=ParkedState.PARKED, applied_at__isnull=True)
                | (~Q(state=ParkedState.PARKED) & Q(applied_at__isnull=False)),
                name="parked_facts_applied_has_time",
            ),
            named("parked_facts_named", "fact_id", "order_id"),
            finite_times("parked_facts_finite_times", "received_at", "applied_at"),
        ]
        indexes = [
            models.Index(
                fields=["bot", "order_id"], condition=Q(state=ParkedState.PARKED), name="idx_parked_facts_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.fact_id} for {self.order_id}"


class IngestConflict(models.Model):
    """The same natural id came with other content: both bodies, for staff to judge. Nothing else changed."""

    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="conflicts", db_index=False)
    kind = models.CharField(max_length=20, choices=FactKind)
    natural_id = models.CharField(max_length=200)
    stored_body = models.JSONField(help_text="What is in the ledger.")
    received_body = models.JSONField(help_text="What came under the same id.")
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    received_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    received_count = models.IntegerField(default=1, db_default=1, help_text="How often this other content came.")
    received_hash = models.BinaryField(editable=False, help_text="Hash of the other content.")
    status = models.CharField(max_length=20, choices=ConflictStatus, default=ConflictStatus.OPEN, db_default="open")
    decision = models.CharField(max_length=20, choices=ConflictDecision, null=True, blank=True)
    stored_as = models.CharField(
        max_length=200, null=True, blank=True, help_text="Id under which the received content is in the ledger now."
    )
    resolution = models.TextField(blank=True, default="", db_default="")
    resolved_by = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ingest_conflicts"
        ordering = ["-received_at"]
        constraints = [
            # A bot that retries a conflicting body for ever fills one row, not the disk.
            models.UniqueConstraint(
                fields=["bot", "kind", "natural_id", "received_hash"], name="ingest_conflicts_unique"
            ),
            one_of("kind", FactKind, name="ingest_conflicts_valid_kind"),
            one_of("status", ConflictStatus, name="ingest_conflicts_valid_status"),
            one_of("decision", ConflictDecision, name="ingest_conflicts_valid_decision"),
            models.CheckConstraint(condition=Q(received_count__gte=1), name="ingest_conflicts_counted"),
            models.CheckConstraint(
                condition=Q(status=ConflictStatus.RESOLVED) | Q(decision__isnull=True),
                name="ingest_conflicts_open_is_undecided",
            ),
            named("ingest_conflicts_named", "natural_id"),
            finite_times("ingest_conflicts_finite_times", "received_at", "resolved_at"),
        ]
        indexes = [
            models.Index("bot", F("received_at").desc(), name="idx_ingest_conflicts_bot"),
            models.Index(
                fields=["received_at"], condition=Q(status=ConflictStatus.OPEN), name="idx_ingest_conflicts_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.natural_id}"
