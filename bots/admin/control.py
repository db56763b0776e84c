"""Control states: read here, changed by buttons that ask for a reason; a release asks for a proof as well."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from accounts.services.memberships import require_act
from audit.services.actions import Actor
from bots.choices import ControlLevel, ControlScope
from bots.models import ControlState
from bots.services.control import control_set
from tradingdb.lib import display
from tradingdb.lib.admin import ControlModelAdmin, button
from tradingdb.lib.asking import ReasonForm, ask_page, asking
from tradingdb.lib.errors import DomainError
from tradingdb.lib.sections import list_url


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


@admin.register(ControlState)
class ControlStateAdmin(ControlModelAdmin):
    list_display = ("show_scope", "show_target", "state", "reason", "changed_by_name", "changed_at", "version")
    list_filter = ("state", "scope")
    empty_note = "Nothing was ever restricted."
    ordering = ("scope", "target")
    fieldsets = (
        (
            None,
            {"fields": (("scope", "show_target"), ("state", "version"), "reason", ("changed_by_name", "changed_at"))},
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

    @asking(label="Release", permission="administer", icon="play_arrow", needs_proof=True)
    def release(self, request: HttpRequest, row: ControlState, data: dict[str, Any]) -> str:
        """Trading in this scope goes on, as far as no other restriction holds."""
        control_set(
            scope=row.scope, target=row.target, state=ControlLevel.ACTIVE, reason=data["reason"],
            actor=Actor(request.user, request),
        )  # fmt: skip
        return "The restriction is released."
