"""Data-quality cases: what checks found in stored data, and the buttons to take a case and to resolve it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from analytics.choices import QualitySeverity, QualityStatus
from analytics.models import DataQualityCase
from analytics.services.data_quality import resolve_case, take_case
from audit.services.actions import Actor
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, exact_filter
from tradingdb.lib.asking import asking
from tradingdb.lib.sections import Section, list_url, table

TONES = {QualitySeverity.CRITICAL: "bad", QualitySeverity.WARNING: "warn", QualitySeverity.INFO: "neutral"}


class ResolveForm(forms.Form):
    """What was done about it."""

    resolution = forms.CharField(
        max_length=1000, widget=forms.Textarea(attrs={"rows": 2}), help_text="What was done about it."
    )


@admin.register(DataQualityCase)
class DataQualityCaseAdmin(LedgerAdmin):
    list_display = (
        "first_seen_at", "kind", "table_name", "subject", "show_severity", "row_count", "state", "show_owner",
        "last_seen_at",
    )  # fmt: skip
    list_filter = (
        ("status", ChoicesFilter), ("kind", ChoicesFilter), ("severity", ChoicesFilter),
        exact_filter("table_name", "table"), ("last_seen_at", DayRangeFilter),
    )  # fmt: skip
    list_select_related = ("owner",)
    ordering = ("-id",)
    search_exact = ("subject",)
    search_help_text = "Whole subject"
    empty_note = "No case. One is opened when a check finds a gap, an orphan, a duplicate, a missing value, rows "
    empty_note += "outside the partitions made for them, or a series that has stopped."
    fieldsets = (
        (
            None,
            {"fields": (("kind", "state"), ("table_name", "subject"), ("show_severity", "row_count"),
                        ("first_seen_at", "last_seen_at"), "show_owner")},
        ),
        ("What was seen last", {"fields": ("details",)}),
        ("Resolution", {"fields": ("resolution", ("resolved_at", "closed_by"))}),
    )  # fmt: skip
    resource_type = "data_quality_case"
    actions_detail = ("take", "resolve")

    @admin.display(description="Status")
    def state(self, case: DataQualityCase) -> SafeString:
        return display.badge(case.status, tone="bad" if case.status == QualityStatus.OPEN else "")

    @admin.display(description="Severity")
    def show_severity(self, case: DataQualityCase) -> SafeString:
        return display.badge(case.severity, tone=TONES[QualitySeverity(case.severity)])

    @admin.display(description="Owner")
    def show_owner(self, case: DataQualityCase) -> SafeString:
        return display.text(case.owner)

    @admin.display(description="Resolved by")
    def closed_by(self, case: DataQualityCase) -> SafeString:
        return display.text(case.resolved_by)

    def is_offered(self, name: str, row: DataQualityCase) -> bool:
        return row.status != QualityStatus.RESOLVED

    @asking(label="Take it", permission="intervene", icon="person", form_class=forms.Form)
    def take(self, request: HttpRequest, row: DataQualityCase, data: dict[str, Any]) -> str:
        """You become the owner of the case. It stays open until it is resolved or its cause is gone."""
        take_case(case_id=row.pk, actor=Actor(request.user, request))
        return "The case is yours."

    @asking(label="Resolve", permission="intervene", icon="task_alt", form_class=ResolveForm)
    def resolve(self, request: HttpRequest, row: DataQualityCase, data: dict[str, Any]) -> str:
        """The case is kept with your words. No row changes; a check that still finds the same opens a new case."""
        resolve_case(case_id=row.pk, actor=Actor(request.user, request), **data)
        return "The case is resolved."

    def sections(self, request: HttpRequest, row: DataQualityCase) -> list[Section]:
        same = {"kind": row.kind, "table_name": row.table_name, "subject": row.subject}
        others = DataQualityCase.objects.filter(**same).exclude(pk=row.pk).order_by("-id")
        columns = ("first_seen_at", "last_seen_at", "row_count", "state", "resolution")
        more = list_url(DataQualityCase, table_name=row.table_name)
        return [table(self.admin_site, "Earlier and later cases of the same", others, columns, more_url=more)]
