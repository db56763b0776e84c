"""Facts on their way in: conflicts with both bodies side by side, parked facts, and the keys of time-series facts."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin, reference
from bots.choices import ConflictDecision, ConflictStatus, OrderStatus
from bots.models import IngestConflict, IngestKey, ParkedFact
from bots.selectors.conflicts import is_twin, stored_body
from bots.services.conflict_desk import conflict_decide
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter
from tradingdb.lib.asking import asking

SIDES = ("In the ledger", "Came later")
LINKED = ("order", "fill", "trade", "signal")


class ResolveForm(forms.Form):
    """Which body is right, in words."""

    resolution = forms.CharField(
        max_length=1000, widget=forms.Textarea(attrs={"rows": 3}), help_text="Which body is right, and what follows."
    )


def both_bodies(row: IngestConflict) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the stored body in the fields a bot tells, with null for what it did not, and the received one."""
    received = dict(row.received_body)
    stored = stored_body(bot_id=row.bot_id, kind=row.kind, kept=row.stored_body)
    kept = {name: stored.get(name) for name, value in received.items() if name in stored or value is None}
    if row.kind == "order" and "reported_status" in stored:
        # Its status follows from fills as well; to be pending is what an order is told to be that is told nothing.
        told = stored["reported_status"]
        kept["status"] = None if told == OrderStatus.PENDING and received.get("status") is None else told
    # An execution under two ids: which fill of which bot it is stored as is the very question.
    if row.kind == "fill" and stored.get("bot_id", row.bot_id) != row.bot_id:
        kept["bot_id"], received["bot_id"] = stored["bot_id"], row.bot_id
    return kept, received


@admin.register(IngestConflict)
class IngestConflictAdmin(BotLedgerAdmin):
    list_display = (
        "received_at", "bot", "kind", "natural_id", "differs_in", "state", "received_count", "decision",
        "show_resolved_by",
    )  # fmt: skip
    list_filter = (
        BOT_FILTER,
        ("status", ChoicesFilter),
        ("decision", ChoicesFilter),
        ("kind", ChoicesFilter),
        ("received_at", DayRangeFilter),
    )
    list_select_related = ("resolved_by",)
    ordering = ("-id",)
    search_exact = ("natural_id",)
    search_help_text = "Whole id of the fact"
    empty_note = "No conflict. One is kept when an id comes again with other content."
    fieldsets = (
        (
            None,
            {"fields": (("bot", "kind"), ("subject", "state"), ("received_at", "received_count"), "request_id")},
        ),
        ("Both bodies", {"fields": ("bodies",)}),
        (
            "Decision",
            {"fields": (("show_decision", "show_stored_as"), "resolution", ("resolved_at", "show_resolved_by"))},
        ),
    )  # fmt: skip
    resource_type = "ingest_conflict"
    actions_detail = ("resolve", "correct", "keep_both")

    def units(self, row: Any) -> dict[Any, str]:
        return {}

    @admin.display(description="Status")
    def state(self, row: IngestConflict) -> SafeString:
        return display.badge(row.status, tone="bad" if row.status == ConflictStatus.OPEN else "")

    @admin.display(description="Fact")
    def subject(self, row: IngestConflict) -> SafeString:
        if row.kind not in LINKED:
            return display.text(row.natural_id)
        if not is_twin(row.kind, row.natural_id, row.stored_body):
            return reference(row.kind, row.bot_id, row.natural_id)
        # Nothing is stored under this id: the execution is, as another fill.
        stored = stored_body(bot_id=row.bot_id, kind=row.kind, kept=row.stored_body)
        known_as = reference("fill", stored.get("bot_id", row.bot_id), stored.get("fill_id"))
        return format_html("{}, an execution that is stored as {}", row.natural_id, known_as)

    @admin.display(description="Differs in")
    def differs_in(self, row: IngestConflict) -> SafeString:
        return display.text(", ".join(display.differences(*both_bodies(row))))

    @admin.display(description="Bodies")
    def bodies(self, row: IngestConflict) -> SafeString:
        """Field by field, as far as a bot tells them: what we derive is no difference."""
        return display.side_by_side(*both_bodies(row), titles=SIDES, with_difference=True)

    @admin.display(description="Decision")
    def show_decision(self, row: IngestConflict) -> SafeString:
        return display.text(row.get_decision_display())

    @admin.display(description="Received one is stored as")
    def show_stored_as(self, row: IngestConflict) -> SafeString:
        if row.stored_as and row.kind in LINKED:
            return reference(row.kind, row.bot_id, row.stored_as)
        return display.text(row.stored_as)

    @admin.display(description="Decided by")
    def show_resolved_by(self, row: IngestConflict) -> SafeString:
        return display.text(row.resolved_by)

    def is_offered(self, name: str, row: IngestConflict) -> bool:
        # One execution cannot be two fills.
        if name == "keep_both" and is_twin(row.kind, row.natural_id, row.stored_body):
            return False
        return row.status == ConflictStatus.OPEN

    @asking(label="Ours is right", permission="intervene", icon="gavel", form_class=ResolveForm)
    def resolve(self, request: HttpRequest, row: IngestConflict, data: dict[str, Any]) -> str:
        """The conflict is closed with your words, and the ledger stays as it is."""
        return self._decide(request, row, ConflictDecision.KEPT, data)

    @asking(
        label="The received one is right", permission="administer", icon="published_with_changes",
        form_class=ResolveForm, is_grave=True,
    )  # fmt: skip
    def correct(self, request: HttpRequest, row: IngestConflict, data: dict[str, Any]) -> str:
        """What is stored stays, and is corrected: a wrong fill is taken back by a fill against it, and the right one is
        added, with their effects on position, trade and profit. For any other fact a case is opened."""
        return self._decide(request, row, ConflictDecision.CORRECTED, data)

    @asking(
        label="Both are real", permission="administer", icon="library_add", form_class=ResolveForm, is_grave=True
    )  # fmt: skip
    def keep_both(self, request: HttpRequest, row: IngestConflict, data: dict[str, Any]) -> str:
        """The received content is stored as well, under a new id, with all its effects."""
        return self._decide(request, row, ConflictDecision.BOTH, data)

    def _decide(
        self, request: HttpRequest, row: IngestConflict, decision: ConflictDecision, data: dict[str, Any]
    ) -> str:
        actor = Actor(request.user, request)
        conflict_decide(conflict_id=row.pk, decision=decision, resolution=data["resolution"], actor=actor)
        row.refresh_from_db()
        return f"The conflict is closed; the received content is {row.stored_as}." if row.stored_as else (
            "The conflict is closed."
        )  # fmt: skip


@admin.register(ParkedFact)
class ParkedFactAdmin(BotLedgerAdmin):
    list_display = ("received_at", "bot", "kind", "fact_id", "order_id", "state", "applied_at", "source")
    list_filter = (BOT_FILTER, ("state", ChoicesFilter), ("kind", ChoicesFilter))
    ordering = ("-id",)
    scoped_search = ("order_id",)
    search_help_text = "Whole order id"
    empty_note = "Nothing is parked. A fill that comes before its order waits here."
    fieldsets = (
        (
            None,
            {"fields": (("bot", "kind"), ("fact_id", "order_id"), ("state", "source"), ("received_at", "applied_at"))},
        ),
        ("Body", {"fields": ("body",)}),
    )  # fmt: skip

    def units(self, row: Any) -> dict[Any, str]:
        return {}


@admin.register(IngestKey)
class IngestKeyAdmin(BotLedgerAdmin):
    list_display = ("natural_id", "bot", "kind", "fact_at", "created_at")
    list_filter = (BOT_FILTER, ("kind", ChoicesFilter))
    ordering = ("-id",)
    scoped_search = ("natural_id",)
    search_help_text = "Whole id of the fact"
    fieldsets = ((None, {"fields": (("bot", "kind"), ("natural_id", "fact_at"), "created_at")}),)
