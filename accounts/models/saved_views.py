"""Views of lists that people keep under a name."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def offered_to(self, user_id: int, page: str) -> Self:
        """Views of a list that a person may choose: their own, and what others share."""
        return self.filter(Q(owner_id=user_id) | Q(is_shared=True), page=page)


class SavedView(models.Model):
    """One list of the admin as a person has filtered and sorted it, kept under a name."""

    owner = models.ForeignKey("accounts.User", models.PROTECT, related_name="saved_views", db_index=False)
    page = models.CharField(max_length=100, help_text="The list's table as app.model, e.g. bots.trade.")
    name = models.CharField(max_length=60)
    query = models.CharField(
        max_length=2000, blank=True, default="", db_default="",
        help_text="Filters, search and order, as they stand in the list's address.",
    )  # fmt: skip
    is_shared = models.BooleanField(default=False, db_default=False, help_text="Offered to everyone who sees the list.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        db_table = "saved_views"
        ordering = ["page", "name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "page", "name"], name="saved_views_unique_name"),
            models.CheckConstraint(
                condition=Q(page__regex=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"), name="saved_views_valid_page"
            ),
            models.CheckConstraint(
                condition=Q(name__regex=r"^[^\s[:cntrl:]]([^[:cntrl:]]*[^\s[:cntrl:]])?$"),
                name="saved_views_valid_name",
            ),
            # A query string and nothing else: no scheme, host, path or fragment has its letters here.
            models.CheckConstraint(condition=Q(query__regex=r"^[A-Za-z0-9_.~%&=+-]*$"), name="saved_views_valid_query"),
            finite_times("saved_views_finite_times", "created_at", "updated_at"),
        ]
        indexes = [models.Index(fields=["page", "name"], name="idx_saved_views_page")]

    def __str__(self) -> str:
        return self.name
