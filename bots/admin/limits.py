"""Limits: how far each is used, what all bots hold together, and what breaches hold bots to."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from audit.models import RiskEvent
from audit.services.actions import Actor
from bots.ledger.risk import UNITS
from bots.models import RiskGroup, RiskLatch, RiskLimit
from bots.selectors.limits import GROUPINGS, Exposure, Use, exposures, limit_uses
from bots.services.limits import CHANGEABLE, risk_latch_end, risk_limit_create, risk_limit_update
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, ControlModelAdmin, LedgerAdmin, button
from tradingdb.lib.asking import asking
from tradingdb.lib.sections import Link, Section, list_url, table

ADDED = ("kind", "scope", "target", "deployment_mode", "limit_value", "currency", "least_gross", "threshold_pct",
         "action", "is_active", "reason")  # fmt: skip
EXPOSURE_HEADINGS = [
    ("Mode", False), ("Of", False), ("Currency", False), ("Gross", True), ("Net", True), ("Bots", True)
]  # fmt: skip


@admin.register(RiskLimit)
class RiskLimitAdmin(RecordedAdmin):
    list_display = (
        "kind", "scope", "show_target", "deployment_mode", "value", "use", "used_by", "threshold_pct", "action",
        "is_active", "updated_at",
    )  # fmt: skip
    list_filter = (("kind", ChoicesFilter), "scope", "deployment_mode", "is_active", ("action", ChoicesFilter))
    search_fields = ("target", "reason")
    empty_note = "No limit yet."
    ordering = ("kind", "scope", "target", "deployment_mode")
    editable = (*CHANGEABLE, "reason")
    addable = ADDED
    fieldsets = (
        (
            None,
            {"fields": (("kind", "scope"), ("show_target", "deployment_mode"), ("limit_value", "currency"),
                        ("use", "used_by"), ("threshold_pct", "action"), ("least_gross", "is_active"))},
        ),
        ("Why", {"fields": ("reason",)}),
        ("Origin", {"fields": (("created_at", "updated_at"), "changed_by_name")}),
    )  # fmt: skip
    resource_type = "risk_limit"
    actions_list = ("exposure",)

    def get_queryset(self, request: HttpRequest) -> Any:
        # What is used is worked out once a page, for all its rows.
        self.__dict__["_uses"] = None
        return super().get_queryset(request)

    def _use(self, row: RiskLimit) -> Use | None:
        uses: dict[int, Use] | None = self.__dict__.get("_uses")
        if uses is None:
            uses = self.__dict__["_uses"] = limit_uses(now=timezone.now())
        return uses.get(row.pk) if row.is_active else None

    @admin.display(description="Target")
    def show_target(self, row: RiskLimit) -> SafeString:
        words = {"": "all bots", "*": f"each {row.get_scope_display().lower()}"}
        return display.text(words.get(row.target, row.target))

    @admin.display(description="Limit")
    def value(self, row: RiskLimit) -> SafeString:
        if row.limit_value is None:
            return display.text("each bot's own")
        unit = UNITS.get(row.kind, row.currency or "quote")
        return display.share(row.limit_value) if unit == "fraction" else display.number(row.limit_value, unit=unit)

    @admin.display(description="In use")
    def use(self, row: RiskLimit) -> SafeString:
        """The share of the limit that is used up most, as a bar and as a number."""
        used = self._use(row)
        if used is None:
            return display.UNKNOWN
        percent = display.plain(display.rounded(used.percent, places=1))
        return format_html(
            '<span class="num"><meter min="0" max="100" high="{}" value="{}" aria-label="in use">{} %</meter> {}'
            ' <span class="unit">%</span></span>',
            f"{row.threshold_pct:f}", percent, percent, percent,
        )  # fmt: skip

    @admin.display(description="Used most by")
    def used_by(self, row: RiskLimit) -> SafeString:
        used = self._use(row)
        return display.text(used.subject if used else None)

    def create(self, request: HttpRequest, obj: RiskLimit, form: ModelForm) -> None:
        given = {name: form.cleaned_data[name] for name in ADDED if name != "reason"}
        made = risk_limit_create(actor=self.actor(request), reason=form.cleaned_data["reason"], **given)
        obj.pk = made.pk

    def update(self, request: HttpRequest, obj: RiskLimit, names: Sequence[str], *, reason: str) -> None:
        changes = {name: getattr(obj, name) for name in names}
        risk_limit_update(limit_id=obj.pk, changes=changes, actor=self.actor(request), reason=reason)

    @button(label="Exposure over bots", permission="view", icon="donut_large")
    def exposure(self, request: HttpRequest) -> HttpResponse:
        """What all bots hold or may come to hold, by symbol, base asset and exchange; live and demo apart."""
        sections = [_exposure_table(by) for by in GROUPINGS]
        context = {
            **self.admin_site.each_context(request),
            "title": "Exposure over bots",
            "opts": self.opts,
            "sections": sections,
        }
        return TemplateResponse(request, "admin/exposure.html", context)

    def links(self, request: HttpRequest, row: RiskLimit) -> list[Link]:
        return [Link("Risk events", list_url(RiskEvent, limit_id__exact=str(row.pk)))]

    def sections(self, request: HttpRequest, row: RiskLimit) -> list[Section]:
        events = RiskEvent.objects.filter(limit_id=row.pk).order_by("-event_time")
        return [
            table(self.admin_site, "Latest risk events", events[:10],
                  ("event_time", "show_level", "subject", "current_value", "limit_value", "action_taken", "state"),
                  empty="Nothing came near it."),
        ]  # fmt: skip


def _exposure_table(by: str) -> Section:
    lines = [Section.line(EXPOSURE_HEADINGS, _cells(row)) for row in exposures(by)]
    title = "All together" if by == "all" else f"By {by}"
    return Section(title=title, headings=EXPOSURE_HEADINGS, lines=lines, empty="No bot holds or orders anything.")


def _cells(row: Exposure) -> list[Any]:
    return [row.mode, row.subject, row.currency, display.money(row.gross), display.money(row.net), row.bots]


@admin.register(RiskLatch)
class RiskLatchAdmin(LedgerAdmin):
    list_display = ("started_at", "bot", "effect", "risk_limit", "until", "size_cap", "state", "ended_at", "ended_by")
    list_filter = (("effect", ChoicesFilter),)
    list_select_related = ("risk_limit",)
    ordering = ("-started_at",)
    empty_note = "No breach has paused a bot or halved its size."
    fieldsets = (
        (
            None,
            {"fields": (("bot", "effect"), ("risk_limit", "state"), ("started_at", "until"),
                        ("size_cap", "control_version"), ("start_equity", "worst_loss_pct"))},
        ),
        ("End", {"fields": (("ended_at", "ended_by"),)}),
    )  # fmt: skip
    resource_type = "risk_latch"
    actions_detail = ("end",)

    @admin.display(description="State")
    def state(self, row: RiskLatch) -> SafeString:
        return display.badge("over") if row.ended_at else display.badge("in force", tone="warn")

    def is_offered(self, name: str, row: RiskLatch) -> bool:
        return row.ended_at is None

    @asking(label="End now", permission="administer", icon="play_arrow", needs_proof=True)
    def end(self, request: HttpRequest, row: RiskLatch, data: dict[str, Any]) -> str:
        """Half size ends at once. A pause no longer ends by itself: its control state stays until it is released."""
        risk_latch_end(latch_id=row.pk, actor=Actor(request.user, request), reason=data["reason"])
        return "It is over."


@admin.register(RiskGroup)
class RiskGroupAdmin(ControlModelAdmin):
    list_display = ("name", "symbols", "least_correlation", "days", "computed_at")
    ordering = ("name",)
    empty_note = "No symbols move together, or the night's job has not run yet."
    fieldsets = ((None, {"fields": (("name", "symbols"), ("least_correlation", "days"), "computed_at")}),)
