"""Reconciliation cases: what the fills say beside what was told, and the buttons to look into one and to close it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin
from bots.choices import CaseKind, CaseStatus
from bots.models import Order, Position, ReconciliationCase
from bots.services.cases import case_update
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter
from tradingdb.lib.asking import asking
from tradingdb.lib.sections import Section, table

SIDES = ("The fills say", "Told")


class CloseForm(forms.Form):
    """Why the two disagreed, and what was done about it."""

    cause = forms.CharField(max_length=1000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Why they disagreed.")
    resolution = forms.CharField(
        max_length=1000, widget=forms.Textarea(attrs={"rows": 2}), help_text="What was done about it."
    )


@admin.register(ReconciliationCase)
class ReconciliationCaseAdmin(BotLedgerAdmin):
    list_display = ("opened_at", "kind", "show_bot", "symbol", "subject_id", "state", "show_owner", "last_seen_at")
    list_filter = (BOT_FILTER, ("status", ChoicesFilter), ("kind", ChoicesFilter), ("opened_at", DayRangeFilter))
    list_select_related = ("owner",)
    ordering = ("-id",)
    search_exact = ("subject_id",)
    search_help_text = "Whole order, position or balance id"
    empty_note = "No case. One is opened when two sources disagree."
    fieldsets = (
        (
            None,
            {"fields": (("kind", "state"), ("bot", "symbol"), ("subject_id", "show_owner"),
                        ("opened_at", "last_seen_at"))},
        ),
        ("What disagrees", {"fields": ("bodies",)}),
        ("Closing", {"fields": ("cause", "resolution", ("resolved_at", "closed_by"))}),
    )  # fmt: skip
    resource_type = "reconciliation_case"
    actions_detail = ("investigate", "close", "reopen")

    def units(self, row: Any) -> dict[Any, str]:
        return {}

    @admin.display(description="Status")
    def state(self, case: ReconciliationCase) -> SafeString:
        return display.badge(case.status, tone="bad" if case.status == CaseStatus.OPEN else "")

    @admin.display(description="Owner")
    def show_owner(self, case: ReconciliationCase) -> SafeString:
        return display.text(case.owner)

    @admin.display(description="Closed by")
    def closed_by(self, case: ReconciliationCase) -> SafeString:
        return display.text(case.resolved_by)

    @admin.display(description="Difference")
    def bodies(self, case: ReconciliationCase) -> SafeString:
        return display.side_by_side(case.expected, case.reported, titles=SIDES)

    def is_offered(self, name: str, row: ReconciliationCase) -> bool:
        states = {"investigate": (CaseStatus.OPEN,), "close": (CaseStatus.OPEN, CaseStatus.INVESTIGATING),
                  "reopen": (CaseStatus.RESOLVED,)}  # fmt: skip
        return row.status in states[name]

    @asking(label="Look into it", permission="intervene", icon="search", form_class=forms.Form)
    def investigate(self, request: HttpRequest, row: ReconciliationCase, data: dict[str, Any]) -> str:
        """You become the owner of the case, and it counts as being looked into."""
        changes = {"status": CaseStatus.INVESTIGATING, "owner": request.user}
        case_update(case_id=row.pk, changes=changes, actor=Actor(request.user, request))
        return "The case is yours."

    @asking(label="Close", permission="intervene", icon="task_alt", form_class=CloseForm)
    def close(self, request: HttpRequest, row: ReconciliationCase, data: dict[str, Any]) -> str:
        """The case is kept with cause and resolution. No figure changes: what is wrong in the ledger is put right by
        facts."""
        case_update(case_id=row.pk, changes={"status": CaseStatus.RESOLVED, **data}, actor=Actor(request.user, request))
        return "The case is closed."

    @asking(label="Open again", permission="intervene", icon="undo", form_class=forms.Form)
    def reopen(self, request: HttpRequest, row: ReconciliationCase, data: dict[str, Any]) -> str:
        """The case counts as open again; its cause and resolution stay to be read."""
        case_update(case_id=row.pk, changes={"status": CaseStatus.OPEN}, actor=Actor(request.user, request))
        return "The case is open again."

    def sections(self, request: HttpRequest, row: ReconciliationCase) -> list[Section]:
        subject = {"bot_id": row.bot_id}
        if row.kind in (CaseKind.OVERFILL, CaseKind.FILL_AFTER_TERMINAL):
            orders = Order.objects.filter(**subject, order_id=row.subject_id)
            columns = ("order_id", "status", "side", "quantity", "filled_quantity", "avg_fill_price", "created_at")
            return [table(self.admin_site, "Order", orders, columns)]
        if row.kind == CaseKind.POSITION_MISMATCH:
            positions = Position.objects.filter(**subject, symbol=row.symbol).order_by("-opened_at")[:10]
            columns = ("position_id", "side", "status", "size", "avg_entry_price", "realized_pnl", "opened_at")
            return [table(self.admin_site, f"Positions in {row.symbol}", positions, columns)]
        return []
