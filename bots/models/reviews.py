"""What people think of trades."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import TradeVerdict
from tradingdb.lib.fields import finite_times, one_of


class TradeReview(models.Model):
    """One person's verdict on one trade.

    A late fill can join two trades into one; the review of the trade that is no more stays, and loses only its link.
    """

    trade = models.ForeignKey(
        "bots.Trade", models.PROTECT, null=True, blank=True, related_name="reviews", db_index=False,
        help_text="NULL: late fills have made it part of another trade.",
    )  # fmt: skip
    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="trade_reviews", db_index=False)
    reviewed_trade_id = models.CharField(max_length=100, help_text="The trade's id when it was reviewed.")
    verdict = models.CharField(max_length=20, choices=TradeVerdict)
    tags = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, db_default=[], help_text="Separated by commas."
    )
    note = models.TextField(blank=True, default="", db_default="")
    reviewer = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        db_table = "trade_reviews"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["trade", "reviewer"], name="trade_reviews_one_per_person"),
            one_of("verdict", TradeVerdict, name="trade_reviews_valid_verdict"),
            models.CheckConstraint(condition=~Q(reviewed_trade_id=""), name="trade_reviews_names_trade"),
            models.CheckConstraint(condition=~Q(tags__contains=[""]), name="trade_reviews_no_empty_tag"),
            finite_times("trade_reviews_finite_times", "created_at", "updated_at"),
        ]
        indexes = [
            models.Index(F("created_at").desc(), name="idx_trade_reviews_time"),
            models.Index("bot", F("created_at").desc(), name="idx_trade_reviews_bot_time"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} on {self.reviewed_trade_id}"
