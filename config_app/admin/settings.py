"""Settings of the house."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from config_app.models import SystemSetting
from config_app.services.settings import setting_create, setting_update
from tradingdb.lib import display


@admin.register(SystemSetting)
class SystemSettingAdmin(RecordedAdmin):
    list_display = ("key", "short_value", "description", "updated_at", "updated_by")
    search_fields = ("key", "description")
    empty_note = "No setting yet."
    ordering = ("key",)
    addable = ("key", "value", "description")
    editable = ("value", "description", "reason")
    importable = ("key", "value", "description")
    import_key = ("key",)
    fieldsets = (
        (None, {"fields": ("key", "value", "description")}),
        ("Why", {"fields": ("reason",)}),
        ("Origin", {"fields": (("created_at", "updated_at"), "updated_by")}),
    )
    resource_type = "setting"

    def resource_id(self, row: SystemSetting) -> str:
        return row.key

    @admin.display(description="Value")
    def short_value(self, row: SystemSetting) -> SafeString:
        return display.body(row.value) if isinstance(row.value, (dict, list)) else display.text(row.value)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Take an empty list for a value, and an empty box for none."""
        made = super().formfield_for_dbfield(db_field, request, **options)
        if db_field.name == "value":
            made.required, made.empty_values = True, (None, "")
        return made

    def create(self, request: HttpRequest, obj: SystemSetting, form: ModelForm) -> None:
        made = setting_create(
            key=obj.key, value=obj.value, description=obj.description, actor=self.actor(request)
        )  # fmt: skip
        obj.pk = made.pk

    def update(self, request: HttpRequest, obj: SystemSetting, names: Sequence[str], *, reason: str) -> None:
        setting_update(
            key=obj.key, value=obj.value, description=obj.description, actor=self.actor(request), reason=reason
        )  # fmt: skip
