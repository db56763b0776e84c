"""Control states: who may trade."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import ControlLevel, ControlScope
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
            finite_times("control_states_finite_times", "changed_at"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.target}: {self.state}".replace(" :", ":")
