"""What people did, with what it was before and after."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.models import UserAction
from tradingdb.lib import display
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, RelatedFilter, TextFilter


class ActionFilter(TextFilter):
    """One action, written out, such as bot.pause."""

    title = "action"
    parameter_name = "action"

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(action=self.value().strip()) if self.value() else queryset


class ResourceFilter(TextFilter):
    """What was changed: the kind of thing."""

    title = "kind of thing"
    parameter_name = "resource_type"

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(resource_type=self.value().strip()) if self.value() else queryset


@admin.register(UserAction)
class UserActionAdmin(LedgerAdmin):
    list_display = ("created_at", "user_email", "action", "resource_type", "resource_id", "reason", "changed", "ip_address")
    list_filter = (("user", RelatedFilter), ActionFilter, ResourceFilter, ("created_at", DayRangeFilter))
    ordering = ("-id",)
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

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Choosing a person needs the right to see people."""
        may_see_people = request.user.has_perm("accounts.view_user")
        return [each for each in super().get_list_filter(request) if may_see_people or not isinstance(each, tuple) or each[0] != "user"]

    @admin.display(description="Changed")
    def changed(self, row: UserAction) -> SafeString:
        return display.text(", ".join(display.differences(row.before or {}, row.after or {})))

    @admin.display(description="Difference")
    def bodies(self, row: UserAction) -> SafeString:
        return display.side_by_side(row.before, row.after, titles=("Before", "After"))
