"""Personal API tokens of staff."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times


class PersonalToken(models.Model):
    """One API token of one person; only a keyed hash of its secret is kept."""

    prefix = models.CharField(max_length=12, unique=True, help_text="Public part of the token, 12 characters.")
    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100, help_text="What the token is for.")
    digest = models.BinaryField(max_length=32, help_text="HMAC-SHA256 of the secret under the pepper.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    expires_at = models.DateTimeField(help_text="The token is refused from this moment.")
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="Written at most once a minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "personal_tokens"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")), name="personal_tokens_expire_after_creation"
            ),
            models.CheckConstraint(
                condition=models.Q(prefix__regex=r"^[A-Za-z0-9]{12}$"), name="personal_tokens_valid_prefix"
            ),
            finite_times("personal_tokens_finite_times", "created_at", "expires_at", "last_used_at", "revoked_at"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"
