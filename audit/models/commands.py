"""Commands that people send by chat."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times


class CommandAudit(models.Model):
    """One command that somebody sent to the chat bot, and how it ended. Rows are never changed."""

    telegram_user_id = models.CharField(max_length=255, help_text="Who sent it, as the chat service names the person.")
    command = models.CharField(max_length=255, help_text="Its first word, for example /report.")
    full_message = models.TextField(null=True, blank=True, help_text="As it was sent, without codes and passwords.")
    is_registered_user = models.BooleanField(null=True, blank=True)
    user_email = models.CharField(max_length=255, null=True, blank=True, help_text="As it was then.")
    success = models.BooleanField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)
    response_time_ms = models.IntegerField(null=True, blank=True, help_text="Milliseconds until the answer.")
    source = models.CharField(
        max_length=50, default="telegram", db_default="telegram", help_text="telegram or import:<name>."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "command_audits"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(telegram_user_id="") & ~Q(command=""), name="command_audits_who_and_what"
            ),
            models.CheckConstraint(condition=Q(response_time_ms__gte=0), name="command_audits_response_not_negative"),
            finite_times("command_audits_finite_times", "created_at"),
        ]
        indexes = [
            models.Index(F("created_at").desc(), name="idx_command_audits_created"),
            models.Index("telegram_user_id", F("created_at").desc(), name="idx_command_audits_user"),
            models.Index("command", F("created_at").desc(), name="idx_command_audits_command"),
            models.Index("success", F("created_at").desc(), name="idx_command_audits_success"),
        ]

    def __str__(self) -> str:
        return f"{self.telegram_user_id}: {self.command}"
