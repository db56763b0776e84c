"""The audit trail: changes of rows, the seals over them, and what checks found."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from audit.models import AuditCheck, Change, Seal
from audit.trail.history import bodies
from audit.trail.seals import unsealed
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, exact_filter


def tables_not_for(user: Any) -> list[str]:
    """Return the tables whose rows a person may not see, so not what they were either."""
    models = (model._meta for model in apps.get_models(include_auto_created=True))
    return [table.db_table for table in models if not user.has_perm(f"{table.app_label}.view_{table.model_name}")]


@admin.register(Change)
class ChangeAdmin(LedgerAdmin):
    list_display = ("at", "actor", "operation", "table_name", "row_id", "changed", "reason", "request_id")
    list_filter = (
        exact_filter("actor"), exact_filter("table_name", "table"), exact_filter("row_id", "row"),
        ("operation", ChoicesFilter), ("at", DayRangeFilter),
    )  # fmt: skip
    ordering = ("-id",)
    empty_note = "Nothing has changed yet. Triggers write here whatever happens to the tables that count."
    search_exact = ("request_id",)
    search_help_text = "Whole id of a request"
    fieldsets = (
        (
            None,
            {"fields": (("at", "operation"), ("actor", "login"), "reason", ("table_name", "row_id"))},
        ),
        ("Before and after", {"fields": ("difference",)}),
        ("Origin", {"fields": (("request_id", "xid"), ("form", "show_digest"))}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out people and keys for those who may not see them."""
        rows = super().get_queryset(request)
        return rows.exclude(table_name__in=hidden) if (hidden := tables_not_for(request.user)) else rows

    @admin.display(description="Changed")
    def changed(self, row: Change) -> SafeString:
        return display.text(", ".join(row.after or row.before or {}) if row.operation == "update" else "")

    @admin.display(description="Change")
    def difference(self, row: Change) -> SafeString:
        return bodies(row)

    @admin.display(description="Digest")
    def show_digest(self, row: Change) -> SafeString:
        return display.text(bytes(row.digest).hex() if row.digest else "")


@admin.register(Seal)
class SealAdmin(LedgerAdmin):
    list_display = ("number", "sealed_at", "kind", "rows", "key")
    list_filter = (("kind", ChoicesFilter), ("sealed_at", DayRangeFilter))
    ordering = ("-number",)
    empty_note = "No seal yet. The sealer beside beat makes one a second while something changes."
    fieldsets = (
        (
            None,
            {"fields": (("number", "kind"), ("sealed_at", "rows"), ("show_hash", "show_previous"), ("key", "cluster"))},
        ),
        ("What it covers", {"fields": (("low", "high"), ("running", "waited"), "floor")}),
    )

    @admin.display(description="Hash")
    def show_hash(self, row: Seal) -> SafeString:
        return display.identifier(bytes(row.hash).hex())

    @admin.display(description="Hash of the seal before")
    def show_previous(self, row: Seal) -> SafeString:
        return display.identifier(bytes(row.previous).hex())

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Say in the title how far behind the seals are."""
        title = f"Seals: {unsealed().seconds:.1f} s behind"
        return super().changelist_view(request, {"title": title, **(extra_context or {})})


@admin.register(AuditCheck)
class AuditCheckAdmin(LedgerAdmin):
    list_display = ("at", "state", "kind", "from_seal", "to_seal", "rows", "duration_ms", "show_problems")
    list_filter = ("ok", ("kind", ChoicesFilter), ("at", DayRangeFilter))
    ordering = ("-at",)
    empty_note = "No check yet. A job makes one every five minutes; manage.py verify_audit makes one now."
    fieldsets = (
        (
            None,
            {"fields": (("at", "state"), ("kind", "duration_ms"), ("from_seal", "to_seal"), "rows", "show_problems")},
        ),
    )

    @admin.display(description="State")
    def state(self, row: AuditCheck) -> SafeString:
        return display.badge("well" if row.ok else "wrong", tone="ok" if row.ok else "bad")

    @admin.display(description="Problems")
    def show_problems(self, row: AuditCheck) -> SafeString:
        lines = []
        for one in row.problems:
            at = f"seal {one['seal']}" if one["seal"] is not None else "no seal"
            lines.append((at, one["problem"], one["detail"]))
        return format_html_join(SafeString("<br>"), "{}: {}: {}", lines) or display.UNKNOWN

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Say in the title how the trail is, by the newest check."""
        last = AuditCheck.objects.order_by("-at").first()
        state = "never checked" if last is None else "nothing is wrong" if last.ok else "something is wrong"
        age = f", {display.age(timezone.now() - last.at)} ago" if last is not None else ""
        return super().changelist_view(request, {"title": f"Audit checks: {state}{age}", **(extra_context or {})})
