"""Messages to everybody."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times


class Broadcast(models.Model):
    """One message that was sent to everybody, and how many it reached."""

    message = models.TextField()
    sent_by = models.CharField(max_length=255, help_text="As it was then; the row outlives the person.")
    success_count = models.IntegerField(default=0, db_default=0, help_text="Recipients it reached.")
    total_count = models.IntegerField(default=0, db_default=0, help_text="Recipients it was meant for.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "broadcasts"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(message="") & ~Q(sent_by=""), name="broadcasts_named"),
            models.CheckConstraint(
                condition=Q(success_count__gte=0, success_count__lte=F("total_count")), name="broadcasts_counts_fit"
            ),
            finite_times("broadcasts_finite_times", "created_at"),
        ]
        indexes = [models.Index(F("created_at").desc(), name="idx_broadcasts_created")]

    def __str__(self) -> str:
        return f"broadcast {self.pk} of {self.sent_by}"

    @property
    def failed_count(self) -> int:
        """Recipients it did not reach."""
        return self.total_count - self.success_count
