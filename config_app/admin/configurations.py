"""Versions of configurations: an edit makes a new version, and each page shows what it changed."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from config_app.models import BotConfiguration
from config_app.services.configurations import configuration_activate
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, RelatedFilter
from tradingdb.lib.sections import Section, row_url, table


@admin.register(BotConfiguration)
class BotConfigurationAdmin(RecordedAdmin):
    list_display = (
        "config_key", "show_bot", "version", "state", "config_type", "effective_from", "created_by", "show_reason"
    )  # fmt: skip
    list_filter = (("bot", RelatedFilter), ("config_type", ChoicesFilter), "is_active")
    search_fields = ("config_key", "bot__bot_id")
    search_help_text = "Key or bot"
    empty_note = "No configuration yet. Add one, and the bot gets it from GET /config."
    ordering = ("bot", "config_key", "-version")
    sortable_by = ("config_key", "version", "effective_from")
    addable = ("bot", "config_key", "config_type", "config_value")
    editable = ("config_value", "reason")
    importable = ("bot", "config_key", "config_type", "config_value")
    import_key = ("bot", "config_key")
    autocomplete_fields = ("bot",)
    fieldsets = (
        (
            None,
            {"fields": (("show_bot", "config_key"), ("version", "state"), ("config_type", "created_by"),
                        ("effective_from", "effective_until"))},
        ),
        (
            "Value",
            {"fields": ("config_value",), "description": "Saving a change makes a new version and activates it."},
        ),
        ("Why", {"fields": ("reason",)}),
    )  # fmt: skip
    resource_type = "configuration"

    def resource_id(self, row: BotConfiguration) -> str:
        return f"{row.bot_id}/{row.config_key}"

    def importable_rows(self, request: HttpRequest) -> models.QuerySet[BotConfiguration]:
        """A file speaks of the active versions."""
        rows: models.QuerySet[BotConfiguration] = self.get_queryset(request)
        return rows.filter(is_active=True)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Old versions are history; a change starts from the active one."""
        return (obj is None or obj.is_active) and super().has_change_permission(request, obj)

    @admin.display(description="Bot")
    def show_bot(self, row: BotConfiguration) -> SafeString:
        return display.link(row.bot_id, "bots_bot_change", row.bot_id)

    @admin.display(description="State")
    def state(self, row: BotConfiguration) -> SafeString:
        return display.badge("active") if row.is_active else display.badge("replaced")

    @admin.display(description="Reason")
    def show_reason(self, row: BotConfiguration) -> SafeString:
        return display.text(row.reason)

    def create(self, request: HttpRequest, obj: BotConfiguration, form: ModelForm) -> None:
        self._activate(request, obj, reason="")

    def update(self, request: HttpRequest, obj: BotConfiguration, names: Sequence[str], *, reason: str) -> None:
        self._activate(request, obj, reason=reason)

    def _activate(self, request: HttpRequest, obj: BotConfiguration, *, reason: str) -> None:
        new = configuration_activate(
            bot_id=obj.bot_id, config_key=obj.config_key, config_type=obj.config_type, value=obj.config_value,
            actor=self.actor(request), reason=reason,
        )  # fmt: skip
        obj.pk, obj.version = new.pk, new.version

    def response_change(self, request: HttpRequest, obj: BotConfiguration) -> HttpResponse:
        """Go to the new version: the old page is history now."""
        super().response_change(request, obj)
        return HttpResponseRedirect(row_url(obj))

    def sections(self, request: HttpRequest, row: BotConfiguration) -> list[Section]:
        versions = BotConfiguration.objects.filter(bot_id=row.bot_id, config_key=row.config_key)
        older = versions.filter(version__lt=row.version).order_by("-version").first()
        columns = ("version", "state", "effective_from", "effective_until", "created_by", "show_reason")
        history = table(self.admin_site, "All versions", versions.order_by("-version"), columns)
        if older is None:
            return [Section(title="What this version changed", empty="It is the first one."), history]
        titles = (f"Version {older.version}", f"Version {row.version}")
        difference = display.side_by_side(older.config_value, row.config_value, titles=titles)
        return [Section(title="What this version changed", content=difference), history]
