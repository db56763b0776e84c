"""Reviews of trades: listed here, written from the trade's page, changed by who wrote them."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from bots.admin.ledger import BOT_FILTER, bot_link
from bots.choices import TradeVerdict
from bots.models import TradeReview
from bots.services.reviews import review_id, review_update
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter

REVIEW_COLUMNS = ("verdict", "show_reviewer", "tags", "note", "created_at", "updated_at")


class ReviewForm(forms.Form):
    """What a person says of a trade."""

    verdict = forms.ChoiceField(choices=TradeVerdict.choices)
    tags = SimpleArrayField(forms.CharField(max_length=40), required=False, help_text="Separated by commas.")
    note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))


@admin.register(TradeReview)
class TradeReviewAdmin(RecordedAdmin):
    list_display = ("created_at", "show_trade", "show_bot", "verdict", "tags", "note", "show_reviewer")
    list_filter = (BOT_FILTER, ("verdict", ChoicesFilter), ("created_at", DayRangeFilter))
    list_select_related = ("trade", "reviewer")
    search_fields = ("=reviewed_trade_id", "note", "reviewer__email")
    search_help_text = "Whole trade id, note or reviewer"
    empty_note = "No review yet. Every trade's page has a button for one."
    ordering = ("-created_at",)
    sortable_by = ("created_at", "verdict")
    editable = ("verdict", "tags", "note", "reason")
    fieldsets = (
        (None, {"fields": (("show_trade", "show_bot"), "verdict", "tags", "note")}),
        ("Why", {"fields": ("reason",)}),
        ("Origin", {"fields": (("show_reviewer", "reviewed_trade_id"), ("created_at", "updated_at"))}),
    )
    resource_type = "trade_review"

    def resource_id(self, row: TradeReview) -> str:
        return review_id(row)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A review is one person's word."""
        mine = obj is None or obj.reviewer_id == request.user.pk
        return mine and super().has_change_permission(request, obj)

    @admin.display(description="Trade")
    def show_trade(self, review: TradeReview) -> SafeString:
        if review.trade is None:
            return display.identifier(review.reviewed_trade_id)
        return display.link(display.identifier(review.trade.trade_id), "bots_trade_change", review.trade_id)

    @admin.display(description="Bot")
    def show_bot(self, review: TradeReview) -> SafeString:
        return bot_link(review.bot_id)

    @admin.display(description="Reviewer")
    def show_reviewer(self, review: TradeReview) -> SafeString:
        return display.text(review.reviewer)

    def update(self, request: HttpRequest, obj: TradeReview, names: Sequence[str], *, reason: str) -> None:
        changes = {name: getattr(obj, name) for name in names}
        review_update(pk=obj.pk, changes=changes, actor=self.actor(request), reason=reason)
