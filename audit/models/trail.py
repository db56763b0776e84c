"""The audit trail: changes of rows, the seals over them, and what checks of both found."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from timescale.db.models.fields import TimescaleDateTimeField

from audit.choices import CheckKind, Operation, SealKind
from tradingdb.lib.fields import finite_times, named, not_negative, one_of
from tradingdb.lib.json_rules import ExactDecoder, json_lists


class Change(models.Model):
    """One change of one row, written by a trigger in the transaction that made it. Rows are never changed or removed.

    A new fact leaves a digest of what was told, everything else what it was before and after.
    """

    at = TimescaleDateTimeField(interval="1 month", db_default=Now(), help_text="When the row was written, UTC.")
    xid = models.BigIntegerField(help_text="Number of the transaction; seals cover them by it.")
    actor = models.CharField(
        max_length=200, help_text="A person's e-mail address, bot:…, job:…, command:…; else the login and its program."
    )
    login = models.CharField(max_length=63, help_text="The login of the session; nothing in the session changes it.")
    request_id = models.CharField(max_length=64, help_text="As in the answer and the log.")
    reason = models.TextField(help_text="As the person gave it.")
    table_name = models.CharField(max_length=63, help_text="The table, without its schema.")
    row_id = models.CharField(max_length=100, help_text="Primary key of the row; * for all rows.")
    operation = models.CharField(max_length=8, choices=Operation)
    before = models.JSONField(
        null=True, decoder=ExactDecoder, help_text="Changed columns as they were; all, of a row that is gone."
    )
    after = models.JSONField(
        null=True, decoder=ExactDecoder, help_text="Changed columns as they are; all, of a new row."
    )
    form = models.SmallIntegerField(null=True, help_text="Which columns the digest is made of.")
    digest = models.BinaryField(null=True, help_text="SHA-256 of the columns that came from outside.")

    class Meta:
        db_table = "changes"
        ordering = ["-id"]
        constraints = [
            one_of("operation", Operation, name="changes_valid_operation"),
            named("changes_named", "actor", "login", "table_name", "row_id"),
            finite_times("changes_finite_times", "at"),
        ]
        indexes = [
            models.Index(fields=["xid"], name="idx_changes_xid"),
            models.Index("table_name", "row_id", F("id").desc(), name="idx_changes_row"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} of {self.table_name} {self.row_id}"


class Seal(models.Model):
    """One link of the chain over the changes: what was committed since the link before, hashed and signed.

    Rows are never changed or removed. The key of the signature is not in the database.
    """

    number = models.BigIntegerField(primary_key=True, help_text="Counts from 0, without a gap.")
    kind = models.CharField(max_length=8, choices=SealKind)
    sealed_at = models.DateTimeField(help_text="The moment of the database that was sealed, UTC.")
    cluster = models.CharField(max_length=40, help_text="PostgreSQL's own identifier of the data directory.")
    low = models.BigIntegerField(help_text="First transaction number that may be in it.")
    high = models.BigIntegerField(help_text="First transaction number that had not begun.")
    running = models.JSONField(help_text="Transactions below `high` that were still open; a later seal has them.")
    waited = models.JSONField(help_text="Transactions that the seal before left open and that have ended.")
    floor = models.BigIntegerField(help_text="Changes up to this id are of the time before the database was restored.")
    rows = models.BigIntegerField(help_text="Changes in it.")
    root = models.BinaryField(help_text="SHA-256 over the hashes of its changes in their order.")
    marks = models.BinaryField(
        help_text="Id and first eight bytes of the hash of each change: they name what is wrong."
    )
    previous = models.BinaryField(help_text="Hash of the seal before.")
    hash = models.BinaryField(help_text="SHA-256 over everything above.")
    key = models.CharField(max_length=16, help_text="Which key signed.")
    signature = models.BinaryField(help_text="Ed25519 over the hash.")

    class Meta:
        db_table = "seals"
        ordering = ["-number"]
        constraints = [
            one_of("kind", SealKind, name="seals_valid_kind"),
            not_negative("seals_not_negative", "number", "low", "high", "floor", "rows"),
            models.CheckConstraint(condition=Q(high__gte=F("low")) | ~Q(kind="seal"), name="seals_high_above_low"),
            named("seals_named", "cluster", "key"),
            json_lists("seals_json_lists", "running", "waited"),
            finite_times("seals_finite_times", "sealed_at"),
        ]
        indexes = [models.Index(fields=["floor", "number"], condition=Q(kind="restored"), name="idx_seals_restored")]

    def __str__(self) -> str:
        return f"seal {self.number}"


class AuditCheck(models.Model):
    """One check of the audit trail: how far it looked, and what is wrong. Rows are never changed."""

    at = models.DateTimeField(help_text="When it began, UTC.")
    kind = models.CharField(
        max_length=12, choices=CheckKind, help_text="full: everything; incremental: since the last good check."
    )
    ok = models.BooleanField(help_text="Whether nothing is wrong.")
    from_seal = models.BigIntegerField(help_text="First seal that was looked at.")
    to_seal = models.BigIntegerField(help_text="Last seal that was looked at; -1 when there is none.")
    rows = models.BigIntegerField(help_text="Changes that were looked at.")
    duration_ms = models.PositiveIntegerField(help_text="In milliseconds.")
    problems = models.JSONField(
        default=list, db_default=[], blank=True, help_text="What is wrong, the first of it first."
    )

    class Meta:
        db_table = "audit_checks"
        ordering = ["-at"]
        constraints = [
            one_of("kind", CheckKind, name="audit_checks_valid_kind"),
            json_lists("audit_checks_json_lists", "problems"),
            not_negative("audit_checks_not_negative", "rows"),
            models.CheckConstraint(
                condition=Q(ok=True, problems=[]) | (Q(ok=False) & ~Q(problems=[])), name="audit_checks_wrong_is_named"
            ),
            finite_times("audit_checks_finite_times", "at"),
        ]
        indexes = [models.Index(F("at").desc(), name="idx_audit_checks_at")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%SZ} {'well' if self.ok else 'wrong'}"
