"""How people are known elsewhere."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times

# Lower case, so that one provider cannot be two.
PROVIDER = r"^[a-z][a-z0-9_-]{0,31}$"


class AuthIdentity(models.Model):
    """One name under which a person is known to another service, such as a Telegram id."""

    # People are switched off, never deleted.
    user = models.ForeignKey("accounts.User", models.PROTECT, related_name="identities")
    provider = models.CharField(max_length=32, help_text="For example telegram or google, in lower case.")
    external_id = models.CharField(max_length=255, help_text="The person's id there.")
    metadata = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="For example verified, approved, language. Never a code."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "auth_identities"
        ordering = ["provider", "external_id"]
        verbose_name_plural = "auth identities"
        constraints = [
            models.UniqueConstraint(fields=["provider", "external_id"], name="auth_identities_unique_at_provider"),
            models.CheckConstraint(condition=Q(provider__regex=PROVIDER), name="auth_identities_valid_provider"),
            models.CheckConstraint(condition=~Q(external_id=""), name="auth_identities_named"),
            # The old system kept codes here in clear.
            models.CheckConstraint(condition=~Q(metadata__has_key="verification_code"), name="auth_identities_no_code"),
            finite_times("auth_identities_finite_times", "created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.external_id}"
