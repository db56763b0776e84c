"""Templates that people start strategies from: public ones are everybody's, the others their author's."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from config_app.models import StrategyTemplate
from tradingdb.lib import display


@admin.register(StrategyTemplate)
class StrategyTemplateAdmin(RecordedAdmin):
    list_display = ("name", "description", "is_public", "author", "updated_at")
    list_filter = ("is_public",)
    list_select_related = ("created_by",)
    search_fields = ("name", "description")
    empty_note = "No template yet."
    ordering = ("name",)
    addable = ("name", "description", "template_data", "is_public")
    editable = ("name", "description", "template_data", "is_public", "reason")
    importable = ("name", "description", "template_data", "is_public")
    # Names may stand twice; a file cannot mean one of two.
    import_key = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "description", "is_public", "template_data")}),
        ("Why", {"fields": ("reason",)}),
        ("Origin", {"fields": (("author", "created_at"), "updated_at")}),
    )
    resource_type = "strategy_template"

    @admin.display(description="Author")
    def author(self, row: StrategyTemplate) -> SafeString:
        return display.text(row.created_by)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[StrategyTemplate]:
        """Admins see all, others what is public or theirs."""
        rows: models.QuerySet[StrategyTemplate] = super().get_queryset(request)
        if self.has_administer_permission(request):
            return rows
        return rows.filter(Q(is_public=True) | Q(created_by=request.user.pk))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A template is changed by its author and by admins."""
        is_own = obj is None or obj.created_by_id == request.user.pk or self.has_administer_permission(request)
        return is_own and super().has_change_permission(request, obj)

    def create(self, request: HttpRequest, obj: StrategyTemplate, form: ModelForm) -> None:
        obj.created_by = self.actor(request).user
        super().create(request, obj, form)
