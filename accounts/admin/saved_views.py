"""Saved views: every list keeps and drops them here; the table itself is for admins."""

from typing import Any
from urllib.parse import unquote_plus

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from accounts.models import SavedView
from accounts.services.saved_views import query_of, view_delete, view_save
from audit.services.actions import Actor
from tradingdb.lib import display
from tradingdb.lib.admin import ControlModelAdmin
from tradingdb.lib.errors import DomainError, ValidationFailed
from tradingdb.lib.sections import list_url
from tradingdb.lib.strictjson import is_clean


@admin.register(SavedView)
class SavedViewAdmin(ControlModelAdmin):
    list_display = ("name", "page", "show_owner", "is_shared", "query", "updated_at")
    list_filter = ("is_shared",)
    list_select_related = ("owner",)
    search_fields = ("name", "page")
    search_help_text = "Name or table"
    ordering = ("page", "name")
    empty_note = "No view yet. Every list has a menu that keeps what it is filtered by."
    fieldsets = (
        (
            None,
            {"fields": (("name", "page"), ("show_owner", "is_shared"), "query", ("created_at", "updated_at"))},
        ),
    )  # fmt: skip
    resource_type = "savedview"

    @admin.display(description="Owner")
    def show_owner(self, view: SavedView) -> SafeString:
        return display.link(view.owner, "accounts_user_change", view.owner_id)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("keep/", wrap(require_POST(self.keep_view)), name="accounts_savedview_keep"),
            path("<int:view_id>/drop/", wrap(require_POST(self.drop_view)), name="accounts_savedview_drop"),
            *super().get_urls(),
        ]

    def keep_view(self, request: HttpRequest) -> HttpResponse:
        """Keep what a list is filtered by, and show the list so."""
        target = self._list_of(request, request.POST.get("page", ""))
        assert request.user.is_authenticated
        address = list_url(target.model)
        try:
            query = self._checked(request, target, request.POST.get("query", ""))
            view = view_save(
                owner=request.user, page=target.opts.label_lower, name=request.POST.get("name", ""), query=query,
                is_shared=bool(request.POST.get("is_shared")), actor=Actor(request.user, request),
            )  # fmt: skip
        except DomainError as e:
            messages.error(request, e.message)
            return HttpResponseRedirect(address)
        messages.success(request, f"The view {view.name} is kept.")
        return HttpResponseRedirect(f"{address}?{view.query}" if view.query else address)

    def drop_view(self, request: HttpRequest, view_id: int) -> HttpResponse:
        """Delete one of the person's own views, and go back to its list."""
        assert request.user.is_authenticated
        try:
            view = view_delete(view_id=view_id, owner=request.user, actor=Actor(request.user, request))
        except DomainError as e:
            raise Http404(e.message) from e
        messages.success(request, f"The view {view.name} is deleted.")
        try:
            return HttpResponseRedirect(list_url(self._list_of(request, view.page).model))
        except (Http404, PermissionDenied):
            # The list is gone, or no longer this person's to see; the view is deleted all the same.
            return HttpResponseRedirect(reverse("admin:index"))

    def _list_of(self, request: HttpRequest, page: str) -> ControlModelAdmin:
        """Return the page of a table that the person may see."""
        try:
            target = self.admin_site.get_model_admin(apps.get_model(page))
        except (LookupError, ValueError, NotRegistered) as e:
            raise Http404("No such list.") from e
        if not isinstance(target, ControlModelAdmin):
            raise Http404("No such list.")
        if not target.has_view_permission(request):
            raise PermissionDenied
        return target

    def _checked(self, request: HttpRequest, target: ControlModelAdmin, raw: str) -> str:
        """Return the query as it is kept, if the list opens with it. Raises ValidationFailed."""
        if not is_clean(unquote_plus(raw)):
            raise ValidationFailed("A filter holds characters that cannot be kept.")
        try:
            listed: Any = target.get_changelist_instance(target.asking_for(request, raw))
        except (IncorrectLookupParameters, SuspiciousOperation) as e:
            raise ValidationFailed("This list does not open with these filters.") from e
        return query_of(raw, allowed=listed.own_parameters())
