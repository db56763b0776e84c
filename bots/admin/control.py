"""The control page, the states and their history: changed by buttons that ask for a reason, a release for a proof."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from accounts.services.memberships import require_act
from audit.services.actions import Actor
from bots.admin.control_room import proof_of, room_context, room_url
from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin
from bots.choices import ControlLevel, ControlScope
from bots.models import ControlChange, ControlReceipt, ControlState
from bots.services.control import control_set
from tradingdb.lib import display
from tradingdb.lib.admin import (
    ChoicesFilter,
    ControlModelAdmin,
    DayRangeFilter,
    LedgerAdmin,
    button,
    exact_filter,
)
from tradingdb.lib.asking import ReasonForm, ask_page, asking
from tradingdb.lib.bot_rows import visible_bots
from tradingdb.lib.errors import DomainError
from tradingdb.lib.sections import Link, Section, list_url


class RestrictForm(ReasonForm):
    """What to restrict, and how far."""

    field_order = ("scope", "target", "state", "reason")
    scope = forms.ChoiceField(choices=ControlScope.choices)
    target = forms.CharField(
        max_length=50, required=False, help_text="A bot_id, a symbol or an exchange; empty for scope all."
    )
    state = forms.ChoiceField(
        choices=[
            (ControlLevel.HALTED, "HALTED: no new orders"),
            (ControlLevel.REDUCING, "REDUCING: only orders that reduce"),
        ]
    )


class HaltForm(ReasonForm):
    """The one thing to say before everything stops."""

    reason = forms.CharField(max_length=500, help_text="Bots and people read it.")


class ReleaseForm(ReasonForm):
    """Why trading may go on, and how far."""

    field_order = ("state", "reason")
    state = forms.ChoiceField(
        choices=[
            (ControlLevel.ACTIVE, "ACTIVE: trading goes on"),
            (ControlLevel.REDUCING, "REDUCING: only orders that reduce"),
        ],
        initial=ControlLevel.ACTIVE,
        required=False,
    )


@admin.register(ControlState)
class ControlStateAdmin(ControlModelAdmin):
    list_display = ("show_scope", "show_target", "state", "reason", "changed_by_name", "changed_at", "server_seq")
    list_filter = ("state", "scope")
    empty_note = "Nothing was ever restricted."
    ordering = ("scope", "target")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("scope", "show_target"),
                    ("state", "version"),
                    "reason",
                    ("changed_by_name", "changed_at"),
                    "server_seq",
                )
            },
        ),
    )
    resource_type = "control"
    actions_list = ("restrict",)
    actions_detail = ("release",)

    @admin.display(description="Scope")
    def show_scope(self, row: ControlState) -> SafeString:
        return display.text(row.get_scope_display())

    @admin.display(description="Target")
    def show_target(self, row: ControlState) -> SafeString:
        return display.text(row.target or "everything")

    def resource_id(self, row: ControlState) -> str:
        return f"{row.scope}:{row.target}"

    def get_urls(self) -> list[URLPattern]:
        room = path("room/", self.admin_site.admin_view(self.room), name="bots_controlstate_room")
        return [room, *super().get_urls()]

    def room(self, request: HttpRequest) -> HttpResponse:
        """The control page: what is restricted, one button that halts everything, and how far the bots are."""
        may_halt = self.has_intervene_permission(request)
        form = HaltForm(request.POST if request.method == "POST" else None, auto_id="halt_%s")
        if request.method == "POST":
            if not may_halt:
                raise PermissionDenied
            if form.is_valid() and self._halt_all(request, form):
                return HttpResponseRedirect(room_url())
        context = {
            **self.admin_site.each_context(request),
            **room_context(may_release=self.has_administer_permission(request), among=visible_bots(request.user)),
            "title": "Control",
            "opts": self.opts,
            "form": form,
            "may_halt": may_halt,
            "restrict_url": reverse("admin:bots_controlstate_restrict"),
        }
        status = 409 if form.is_bound and form.non_field_errors() else 200
        return TemplateResponse(request, "admin/control_room.html", context, status=status)

    def _halt_all(self, request: HttpRequest, form: HaltForm) -> bool:
        reason, actor = form.cleaned_data["reason"], Actor(request.user, request)
        try:
            row = control_set(scope=ControlScope.ALL, target="", state=ControlLevel.HALTED, reason=reason, actor=actor)
        except DomainError as e:
            form.add_error(None, e.message)
            return False
        messages.success(
            request, f"Everything is halted. No order request comes through after number {row.server_seq}."
        )
        return True

    def links(self, request: HttpRequest, row: ControlState) -> list[Link]:
        of_scope = {"scope__exact": row.scope, "target": row.target} if row.target else {"scope__exact": row.scope}
        return [Link("Control page", room_url()), Link("Every change of it", list_url(ControlChange, **of_scope))]

    def sections(self, request: HttpRequest, row: ControlState) -> list[Section]:
        change = ControlChange.objects.filter(pk=row.server_seq).first()
        return [] if change is None else proof_of(change, among=visible_bots(request.user))

    @button(label="Restrict trading", permission="intervene", icon="front_hand", is_grave=True)
    def restrict(self, request: HttpRequest) -> HttpResponse:
        """Halt or reduce everything, a bot, a symbol or an exchange."""
        form = RestrictForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                scope, target = form.cleaned_data["scope"], form.cleaned_data["target"]
                require_act(Actor(request.user, request), target if scope == ControlScope.BOT else None)
                row = control_set(**form.cleaned_data, actor=Actor(request.user, request))
            except DomainError as e:
                form.add_error(None, e.message)
            else:
                messages.success(request, f"{row} is in force.")
                return HttpResponseRedirect(list_url(ControlState))
        words = {
            "label": "Restrict trading",
            "explanation": "Bots in this scope hear of it at once and lose the permit to open positions. "
            "Open positions stay open. The strictest state that applies to a bot counts.",
            "is_grave": True,
            "cancel_url": list_url(ControlState),
        }
        return ask_page(self, request, form, row=None, words=words)

    def is_offered(self, name: str, row: ControlState) -> bool:
        return row.state != ControlLevel.ACTIVE

    @asking(label="Release", permission="administer", icon="play_arrow", form_class=ReleaseForm, needs_proof=True)
    def release(self, request: HttpRequest, row: ControlState, data: dict[str, Any]) -> str:
        """Trading in this scope goes on, as far as no other restriction holds."""
        control_set(
            scope=row.scope, target=row.target, state=data["state"] or ControlLevel.ACTIVE, reason=data["reason"],
            actor=Actor(request.user, request), on_release=partial(self._check_admin, request),
        )  # fmt: skip
        return "The restriction is released."

    def _check_admin(self, request: HttpRequest) -> None:
        if not self.has_administer_permission(request):
            raise PermissionDenied


@admin.register(ControlChange)
class ControlChangeAdmin(LedgerAdmin):
    list_display = (
        "id", "changed_at", "scope", "show_target", "state", "previous_state", "changed_by_name", "reason", "version",
    )  # fmt: skip
    list_filter = (
        ("state", ChoicesFilter),
        ("scope", ChoicesFilter),
        exact_filter("target"),
        ("changed_at", DayRangeFilter),
    )
    ordering = ("-id",)
    empty_note = "Nothing was ever restricted."
    fieldsets = (
        (
            None,
            {"fields": (("id", "changed_at"), ("scope", "show_target"), ("state", "previous_state"), "reason",
                        ("changed_by_name", "version"))},
        ),
    )  # fmt: skip

    @admin.display(description="Target")
    def show_target(self, row: ControlChange) -> SafeString:
        return display.text(row.target or "everything")

    def links(self, request: HttpRequest, row: ControlChange) -> list[Link]:
        return [Link("Control page", room_url())]

    def sections(self, request: HttpRequest, row: ControlChange) -> list[Section]:
        return proof_of(row, among=visible_bots(request.user))


@admin.register(ControlReceipt)
class ControlReceiptAdmin(BotLedgerAdmin):
    list_display = ("received_at", "bot", "show_change", "told_by", "done_at")
    list_filter = (BOT_FILTER, ("told_by", ChoicesFilter))
    list_select_related = ("change",)
    ordering = ("-id",)
    empty_note = "No bot was told of a restriction yet."
    fieldsets = ((None, {"fields": (("bot", "show_change"), ("received_at", "told_by"), "done_at")}),)

    @admin.display(description="Restriction")
    def show_change(self, row: ControlReceipt) -> SafeString:
        return display.link(f"{row.change_id}: {row.change}", "bots_controlchange_change", row.change_id)
