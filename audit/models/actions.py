"""Actions of people."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times


class UserAction(models.Model):
    """One thing a person did or tried to do, with what it was before and after. Rows are never changed."""

    # NULL: a failed login is an action of nobody we know; a deleted person's actions stay.
    user = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="actions")
    user_email = models.CharField(max_length=100, blank=True, default="", db_default="", help_text="As it was then.")
    action = models.CharField(max_length=100, help_text="For example bot.pause, login.failed, token.create.")
    resource_type = models.CharField(max_length=50, null=True, blank=True)
    resource_id = models.CharField(max_length=100, null=True, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    reason = models.TextField(blank=True, default="", db_default="")
    details = models.JSONField(null=True, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=500, null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "user_actions"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(action=""), name="user_actions_named"),
            finite_times("user_actions_finite_times", "created_at"),
        ]
        indexes = [
            models.Index("user", models.F("created_at").desc(), name="idx_user_actions_user"),
            models.Index("action", models.F("created_at").desc(), name="idx_user_actions_action"),
            models.Index(fields=["resource_type", "resource_id"], name="idx_user_actions_resource"),
        ]

    def __str__(self) -> str:
        return f"{self.user_email or 'nobody'}: {self.action}"
