"""What people think of the house."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from notifications.choices import FeedbackStatus, FeedbackType
from tradingdb.lib.fields import finite_times, one_of


class Feedback(models.Model):
    """One piece of feedback or one wish of a person, and how far it has come."""

    user = models.ForeignKey(
        "accounts.User",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="feedbacks",
        help_text="Who gave it; empty when that person is gone.",
    )
    type = models.CharField(max_length=50, choices=FeedbackType, default=FeedbackType.FEEDBACK, db_default="feedback")
    message = models.TextField()
    status = models.CharField(max_length=20, choices=FeedbackStatus, default=FeedbackStatus.OPEN, db_default="open")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "feedbacks"
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "feedback"
        constraints = [
            one_of("type", FeedbackType, name="feedbacks_valid_type"),
            one_of("status", FeedbackStatus, name="feedbacks_valid_status"),
            models.CheckConstraint(condition=~Q(message=""), name="feedbacks_not_empty"),
            finite_times("feedbacks_finite_times", "created_at"),
        ]
        indexes = [
            models.Index("status", F("created_at").desc(), name="idx_feedbacks_status"),
            models.Index(F("created_at").desc(), name="idx_feedbacks_created"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"
