"""Control states: who may trade."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import ControlLevel, ControlScope, ToldBy
from tradingdb.lib.fields import finite_times, not_negative, one_of


class ControlState(models.Model):
    """The restriction in force for one scope: everything, a bot, a symbol or an exchange. The strictest one counts."""

    scope = models.CharField(max_length=10, choices=ControlScope)
    target = models.CharField(max_length=50, blank=True, default="", db_default="", help_text="Empty for scope all.")
    state = models.CharField(max_length=10, choices=ControlLevel, default=ControlLevel.ACTIVE, db_default="ACTIVE")
    version = models.BigIntegerField(default=1, db_default=1, help_text="Grows with every change.")
    reason = models.TextField(help_text="Why, in the words of the person or rule that set it.")
    changed_by = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    changed_by_name = models.CharField(max_length=100, default="system", db_default="system")
    changed_at = models.DateTimeField(default=timezone.now, db_default=Now())
    server_seq = models.BigIntegerField(
        default=0, db_default=0, editable=False,
        help_text="Number of its newest change, from the counter that numbers the orders; set by the database.",
    )  # fmt: skip

    class Meta:
        db_table = "control_states"
        ordering = ["scope", "target"]
        constraints = [
            models.UniqueConstraint(fields=["scope", "target"], name="control_states_one_per_target"),
            one_of("scope", ControlScope, name="control_states_valid_scope"),
            one_of("state", ControlLevel, name="control_states_valid_state"),
            models.CheckConstraint(
                condition=Q(scope=ControlScope.ALL, target="") | (~Q(scope=ControlScope.ALL) & ~Q(target="")),
                name="control_states_target_fits_scope",
            ),
            not_negative("control_states_version_not_negative", "version"),
            not_negative("control_states_seq_not_negative", "server_seq"),
            finite_times("control_states_finite_times", "changed_at"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.target}: {self.state}".replace(" :", ":")


class ControlChange(models.Model):
    """One change of a control state, kept for ever. The database writes it, whoever changed the state, and how.

    Its id is a server sequence: orders and changes are numbered by one counter, each while it holds the lock of the
    scope. An order with a greater id than a halt was checked after the halt was in force (docs/adr/0013).
    """

    id = models.BigIntegerField(primary_key=True, help_text="Server sequence, comparable with the id of an order.")
    scope = models.CharField(max_length=10, choices=ControlScope)
    target = models.CharField(max_length=50, blank=True, default="", db_default="", help_text="Empty for scope all.")
    state = models.CharField(max_length=10, choices=ControlLevel)
    previous_state = models.CharField(max_length=10, choices=ControlLevel, default="ACTIVE", db_default="ACTIVE")
    version = models.BigIntegerField(help_text="Version of the state of this scope after the change.")
    reason = models.TextField(help_text="Why, in the words of the person or rule that set it.")
    changed_by = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    changed_by_name = models.CharField(max_length=100)
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "control_changes"
        ordering = ["-id"]
        constraints = [
            one_of("scope", ControlScope, name="control_changes_valid_scope"),
            one_of("state", ControlLevel, name="control_changes_valid_state"),
            one_of("previous_state", ControlLevel, name="control_changes_valid_previous_state"),
            not_negative("control_changes_version_not_negative", "version"),
            finite_times("control_changes_finite_times", "changed_at"),
        ]
        indexes = [
            models.Index("scope", "target", models.F("id").desc(), name="idx_control_changes_of_scope"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.target}: {self.state}".replace(" :", ":")


class ControlReceipt(models.Model):
    """What became of one restriction at one bot: when it was told, and when it said that it is done."""

    change = models.ForeignKey(ControlChange, models.PROTECT, related_name="receipts")
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="+", db_index=False)
    received_at = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="When it was first told.")
    told_by = models.CharField(max_length=10, choices=ToldBy, help_text="By which way it was told first.")
    done_at = models.DateTimeField(null=True, blank=True, help_text="When the bot said it obeys; NULL until then.")

    class Meta:
        db_table = "control_receipts"
        ordering = ["-received_at"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "change"], name="control_receipts_one_per_bot"),
            one_of("told_by", ToldBy, name="control_receipts_valid_told_by"),
            models.CheckConstraint(
                condition=Q(done_at__isnull=True) | Q(done_at__gte=models.F("received_at")),
                name="control_receipts_done_after_received",
            ),
            finite_times("control_receipts_finite_times", "received_at", "done_at"),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} of {self.change_id}"
