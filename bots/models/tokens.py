"""API tokens of bots."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import TokenScope
from tradingdb.lib.fields import finite_times


def all_scopes() -> list[str]:
    """Return every scope, for a bot that does its own reporting."""
    return [str(scope) for scope in TokenScope.values]


class BotToken(models.Model):
    """One API token of one bot; the secret is shown once, only its keyed hash is kept."""

    prefix = models.CharField(max_length=12, unique=True, help_text="Public part of the token, 12 characters.")
    bot = models.ForeignKey("bots.Bot", models.CASCADE, related_name="tokens")
    digest = models.BinaryField(max_length=32, help_text="HMAC-SHA256 of the secret under the pepper.")
    pepper = models.SmallIntegerField(
        default=1, db_default=1, help_text="Number of the pepper the digest was made with."
    )
    scopes = ArrayField(models.CharField(max_length=20, choices=TokenScope), default=all_scopes)
    created_by = models.CharField(max_length=100, default="system", db_default="system")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    expires_at = models.DateTimeField(help_text="The token is refused from this moment; at most 365 days ahead.")
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="Written at most once a minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "bot_tokens"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(prefix__regex=r"^[A-Za-z0-9]{12}$"), name="bot_tokens_valid_prefix"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="bot_tokens_expire_after_creation"
            ),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=[str(scope) for scope in TokenScope.values]),
                name="bot_tokens_valid_scopes",
            ),
            finite_times("bot_tokens_finite_times", "created_at", "expires_at", "last_used_at", "revoked_at"),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.prefix}"

    def is_usable(self, now: datetime) -> bool:
        """Whether the token opens the door at this moment."""
        return self.revoked_at is None and now < self.expires_at
