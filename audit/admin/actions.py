"""What people did, with what it was before and after."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.models import UserAction
from audit.services.actions import FOR_ADMINS
from tradingdb.lib import display
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, RelatedFilter, exact_filter

PERSON_FILTER = ("user", RelatedFilter)


@admin.register(UserAction)
class UserActionAdmin(LedgerAdmin):
    list_display = (
        "created_at", "user_email", "action", "resource_type", "resource_id", "changed", "reason", "ip_address"
    )  # fmt: skip
    list_filter = (
        PERSON_FILTER, exact_filter("action"), exact_filter("resource_type", "kind of thing"),
        ("created_at", DayRangeFilter),
    )  # fmt: skip
    ordering = ("-id",)
    empty_note = "Nobody has done anything yet."
    search_exact = ("resource_id",)
    search_help_text = "Whole id of what was changed"
    fieldsets = (
        (
            None,
            {"fields": (("created_at", "user_email"), ("action", "reason"), ("resource_type", "resource_id"))},
        ),
        ("Before and after", {"fields": ("bodies",)}),
        ("From where", {"fields": (("ip_address", "request_id"), "user_agent", "details")}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out keys for those who may not see them."""
        rows = super().get_queryset(request)
        is_admin = getattr(request.user, "is_admin", False)
        return rows if is_admin else rows.exclude(resource_type__in=FOR_ADMINS)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Choosing a person needs the right to see people."""
        filters = list(super().get_list_filter(request))
        return filters if request.user.has_perm("accounts.view_user") else filters[1:]

    @admin.display(description="Changed")
    def changed(self, row: UserAction) -> SafeString:
        return display.text(", ".join(display.differences(row.before or {}, row.after or {})))

    @admin.display(description="Difference")
    def bodies(self, row: UserAction) -> SafeString:
        return display.side_by_side(row.before, row.after, titles=("Before", "After"))
