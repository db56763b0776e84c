"""Reconciliation cases: what the fills say beside what was told, and the buttons to look into one and to close it."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin
from bots.choices import CaseKind, CaseStatus, InboxStatus
from bots.models import (
    AccountBalance,
    Bot,
    Fill,
    Order,
    Position,
    ReconciliationCase,
    Trade,
    UnattributedFill,
)
from bots.services.cases import case_update
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, DropdownFilter, RelatedFilter
from tradingdb.lib.asking import asking
from tradingdb.lib.bot_rows import of_bots, visible_bots
from tradingdb.lib.sections import Section, table

SIDES = {CaseKind.POSITION_MISMATCH: ("The fills say", "Told")}
OTHER_SIDES = ("Expected", "Told")


COLUMNS: dict[type[models.Model], tuple[str, ...]] = {
    Order: ("order_id", "status", "side", "quantity", "filled_quantity", "avg_fill_price", "created_at"),
    Fill: ("fill_id", "executed_at", "side", "quantity", "price", "order_id", "position_id", "flags"),
    Trade: ("trade_id", "side", "quantity", "entry_price", "exit_price", "pnl_usd", "exit_time"),
    Position: ("position_id", "bot", "side", "status", "size", "avg_entry_price", "realized_pnl", "opened_at"),
    AccountBalance: ("timestamp", "total_balance", "available_balance", "locked_balance", "equity", "flags"),
}
BALANCES_BACK = timedelta(days=7)


def subjects_of(case: ReconciliationCase) -> dict[str, models.QuerySet[Any]]:
    """Return the rows that a case about one bot speaks of, by their title."""
    mine, named = {"bot_id": case.bot_id}, case.subject_id
    if case.kind in (CaseKind.OVERFILL, CaseKind.FILL_AFTER_TERMINAL):
        fills = Fill.objects.filter(**mine, order_id=named).order_by("executed_at", "fill_id")
        return {"Order": Order.objects.filter(**mine, order_id=named), "Its fills": fills}
    if case.kind == CaseKind.NEGATIVE_BALANCE:
        told = AccountBalance.objects.filter(**mine, timestamp__gte=case.opened_at - BALANCES_BACK)
        return {"Newest balances": told.order_by("-timestamp")[:10]}
    if case.kind == CaseKind.LEDGER_MISMATCH:
        positions = Position.objects.filter(**mine, symbol=case.symbol).order_by("-opened_at")[:10]
        return {f"Positions in {case.symbol}": positions}
    of_subject = {
        "Fill": Fill.objects.filter(**mine, fill_id=named),
        "Order": Order.objects.filter(**mine, order_id=named),
        "Trade": Trade.objects.filter(**mine, trade_id=named),
    }
    return {title: rows for title, rows in of_subject.items() if named}


class CloseForm(forms.Form):
    """Why the two disagreed, and what was done about it."""

    cause = forms.CharField(max_length=1000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Why they disagreed.")
    resolution = forms.CharField(
        max_length=1000, widget=forms.Textarea(attrs={"rows": 2}), help_text="What was done about it."
    )


class GoneFilter(DropdownFilter):
    """Whether the difference is still seen."""

    title = "difference"
    parameter_name = "gone"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "still seen"), ("yes", "no longer seen")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(gone_since__isnull=self.value() == "no") if self.value() else queryset


@admin.register(ReconciliationCase)
class ReconciliationCaseAdmin(BotLedgerAdmin):
    list_display = (
        "opened_at", "age", "kind", "show_account", "show_bot", "symbol", "subject_id", "state", "show_owner",
        "last_seen_at", "gone_since",
    )  # fmt: skip
    list_filter = (
        BOT_FILTER, ("account", RelatedFilter), ("status", ChoicesFilter), ("kind", ChoicesFilter), GoneFilter,
        ("opened_at", DayRangeFilter),
    )  # fmt: skip
    list_select_related = ("owner", "account")
    ordering = ("-opened_at",)
    sortable_by = ("opened_at", "last_seen_at", "age")
    search_exact = ("subject_id",)
    search_help_text = "Whole order, position or balance id"
    empty_note = "No case. One is opened when two sources disagree."
    fieldsets = (
        (
            None,
            {"fields": (("kind", "state"), ("account", "bot"), ("symbol", "subject_id"), ("show_owner", "age"),
                        ("opened_at", "last_seen_at"), "gone_since")},
        ),
        ("What disagrees", {"fields": ("bodies",)}),
        ("Closing", {"fields": ("cause", "resolution", ("resolved_at", "closed_by"))}),
    )  # fmt: skip
    resource_type = "reconciliation_case"
    actions_detail = ("investigate", "close", "reopen")

    def units(self, row: Any) -> dict[Any, str]:
        return {}

    @admin.display(description="Age", ordering="-opened_at")
    def age(self, case: ReconciliationCase) -> str:
        """How long it was open, or is."""
        return display.age((case.resolved_at or timezone.now()) - case.opened_at)

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
        # What stands on one side alone explains, it does not differ: when it was told, what waits in the inbox.
        titles = SIDES.get(CaseKind(case.kind), OTHER_SIDES)
        return display.side_by_side(case.expected, case.reported, titles=titles, absent_differs=False)

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

    @asking(label="Close the case", permission="intervene", icon="task_alt", form_class=CloseForm)
    def close(self, request: HttpRequest, row: ReconciliationCase, data: dict[str, Any]) -> str:
        """The case is kept with cause and resolution. No figure changes: what is wrong in the ledger is put right by
        facts."""
        case_update(case_id=row.pk, changes={"status": CaseStatus.RESOLVED, **data}, actor=Actor(request.user, request))
        return "The case is closed."

    @asking(label="Open the case again", permission="intervene", icon="undo", form_class=forms.Form)
    def reopen(self, request: HttpRequest, row: ReconciliationCase, data: dict[str, Any]) -> str:
        """The case counts as open again; its cause and resolution stay to be read."""
        case_update(case_id=row.pk, changes={"status": CaseStatus.OPEN}, actor=Actor(request.user, request))
        return "The case is open again."

    def sections(self, request: HttpRequest, row: ReconciliationCase) -> list[Section]:
        if row.kind == CaseKind.POSITION_MISMATCH:
            return self._positions(request, row)
        if row.kind == CaseKind.UNATTRIBUTED:
            return [self._inbox(request, row)]
        return [
            self._rows(title, rows)
            for title, rows in subjects_of(row).items()
            if row.kind in (CaseKind.OVERFILL, CaseKind.FILL_AFTER_TERMINAL) or rows.exists()
        ]

    def _rows(self, title: str, rows: models.QuerySet[Any]) -> Section:
        return table(self.admin_site, title, rows, COLUMNS[rows.model], empty="It has not been reported.")

    def _positions(self, request: HttpRequest, row: ReconciliationCase) -> list[Section]:
        """All bots of the account count, and what waits in its inbox may be the difference."""
        bots = Bot.objects.filter(account=row.account_id) if row.account_id else Bot.objects.filter(bot_id=row.bot_id)
        found = of_bots(Position.objects.filter(bot__in=bots, symbol=row.symbol), visible_bots(request.user))
        positions = found.order_by("-opened_at")[:10]
        title = f"Positions in {row.symbol}"
        return [table(self.admin_site, title, positions, COLUMNS[Position]), self._inbox(request, row)]

    def _inbox(self, request: HttpRequest, row: ReconciliationCase) -> Section:
        fills = UnattributedFill.objects.filter(account=row.account_id, symbol=row.symbol, status=InboxStatus.OPEN)
        fills = of_bots(fills, visible_bots(request.user))
        columns = ("exchange_trade_id", "side", "quantity", "price", "executed_at", "source")
        return table(self.admin_site, "Fills without a bot", fills, columns)
