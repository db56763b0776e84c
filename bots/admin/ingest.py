"""Facts on their way in: conflicts with both bodies side by side, parked facts, and the keys of time-series facts."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin, reference
from bots.choices import ConflictStatus
from bots.models import IngestConflict, IngestKey, ParkedFact
from bots.services.conflict_desk import conflict_resolve
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


@admin.register(IngestConflict)
class IngestConflictAdmin(BotLedgerAdmin):
    list_display = (
        "received_at", "bot", "kind", "natural_id", "differs_in", "state", "received_count", "show_resolved_by"
    )  # fmt: skip
    list_filter = (BOT_FILTER, ("status", ChoicesFilter), ("kind", ChoicesFilter), ("received_at", DayRangeFilter))
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
        ("Judgement", {"fields": ("resolution", ("resolved_at", "show_resolved_by"))}),
    )  # fmt: skip
    resource_type = "ingest_conflict"
    actions_detail = ("resolve",)

    def units(self, row: Any) -> dict[Any, str]:
        return {}

    @admin.display(description="Status")
    def state(self, row: IngestConflict) -> SafeString:
        return display.badge(row.status, tone="bad" if row.status == ConflictStatus.OPEN else "")

    @admin.display(description="Fact")
    def subject(self, row: IngestConflict) -> SafeString:
        return reference(row.kind, row.bot_id, row.natural_id) if row.kind in LINKED else display.text(row.natural_id)

    @admin.display(description="Differs in")
    def differs_in(self, row: IngestConflict) -> SafeString:
        return display.text(", ".join(display.differences(row.stored_body, row.received_body)))

    @admin.display(description="Bodies")
    def bodies(self, row: IngestConflict) -> SafeString:
        return display.side_by_side(row.stored_body, row.received_body, titles=SIDES)

    @admin.display(description="Judged by")
    def show_resolved_by(self, row: IngestConflict) -> SafeString:
        return display.text(row.resolved_by)

    def is_offered(self, name: str, row: IngestConflict) -> bool:
        return row.status == ConflictStatus.OPEN

    @asking(label="Judge", permission="intervene", icon="gavel", form_class=ResolveForm)
    def resolve(self, request: HttpRequest, row: IngestConflict, data: dict[str, Any]) -> str:
        """The conflict is closed with your words. The ledger keeps the body it has: a wrong fact is put right by a
        correcting fact."""
        conflict_resolve(conflict_id=row.pk, resolution=data["resolution"], actor=Actor(request.user, request))
        return "The conflict is closed."


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
