"""What the invariants of the ledger found, run by run."""

from django.db import models
from django.db.models import F, Q

from audit.choices import RunKind
from tradingdb.lib.fields import finite_times, one_of
from tradingdb.lib.json_rules import json_objects


class InvariantRun(models.Model):
    """One run of the invariants over the ledger at one moment. Rows are never changed; they go after 90 days."""

    at = models.DateTimeField(help_text="The moment of the ledger that was looked at, UTC.")
    duration_ms = models.PositiveIntegerField(help_text="From the first question to the last answer, in milliseconds.")
    kind = models.CharField(
        max_length=12, choices=RunKind, help_text="full: all rows; incremental: what was touched since the run before."
    )
    ok = models.BooleanField(help_text="Whether no invariant found a row.")
    counts = models.JSONField(help_text="Rows that break each invariant, by its name; 0 is well.")
    found = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="The first rows that break each broken invariant."
    )
    red_since = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="For each broken invariant the run that found it first, UTC."
    )
    replay_differences = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Figures of positions that the exact replay works out differently."
    )
    version = models.CharField(max_length=40, help_text="Of the software that asked.")

    class Meta:
        db_table = "invariant_runs"
        ordering = ["-at"]
        constraints = [
            one_of("kind", RunKind, name="invariant_runs_valid_kind"),
            finite_times("invariant_runs_finite_times", "at"),
            json_objects("invariant_runs_json_objects", "counts", "found", "red_since"),
            # Red and well are never a matter of opinion: what is broken is named, with the time since when.
            models.CheckConstraint(
                condition=Q(ok=True, red_since={}, found={}, replay_differences=0)
                | (Q(ok=False) & ~Q(red_since={}) & ~Q(found={})),
                name="invariant_runs_red_is_named",
            ),
        ]
        indexes = [
            models.Index(F("at").desc(), name="idx_invariant_runs_at"),
            models.Index(F("at").desc(), condition=Q(ok=False), name="idx_invariant_runs_red"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%SZ} {'well' if self.ok else 'red'}"
