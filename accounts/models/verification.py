"""Codes by which people prove that an account elsewhere is theirs."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import Exact
from django.utils import timezone

from accounts.models.identities import PROVIDER
from tradingdb.lib.fields import finite_times

# Wrong answers after which a code is worth nothing.
MAX_ATTEMPTS = 5


class VerificationCode(models.Model):
    """One six-digit code that was sent to a person; only a keyed hash of it is kept. Good once, for an hour."""

    user = models.ForeignKey("accounts.User", models.PROTECT, related_name="verification_codes", db_index=False)
    provider = models.CharField(max_length=32, default="telegram", db_default="telegram")
    digest = models.BinaryField(max_length=32, help_text="HMAC-SHA256 of person, provider and code under the pepper.")
    sent_time = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="Good for 3600 s from then.")
    attempts = models.SmallIntegerField(default=0, db_default=0, help_text="Wrong answers; five end the code.")
    used_at = models.DateTimeField(null=True, blank=True, help_text="When the right answer came.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "verification_codes"
        ordering = ["-sent_time"]
        constraints = [
            models.CheckConstraint(condition=Q(provider__regex=PROVIDER), name="verification_codes_valid_provider"),
            # A clear code is six bytes.
            models.CheckConstraint(condition=Q(Exact(Length("digest"), 32)), name="verification_codes_hashed"),
            models.CheckConstraint(
                condition=Q(attempts__gte=0, attempts__lte=MAX_ATTEMPTS), name="verification_codes_bounded_attempts"
            ),
            models.CheckConstraint(condition=Q(used_at__gte=F("sent_time")), name="verification_codes_used_after_sent"),
            finite_times("verification_codes_finite_times", "sent_time", "used_at", "created_at"),
        ]
        indexes = [
            models.Index("user", F("sent_time").desc(), name="idx_verification_codes_user"),
            models.Index(F("sent_time").desc(), name="idx_verification_codes_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.sent_time:%Y-%m-%d %H:%M:%SZ}"

    @property
    def is_spent(self) -> bool:
        """Whether so many wrong answers came that no right one counts any more."""
        return self.attempts >= MAX_ATTEMPTS
