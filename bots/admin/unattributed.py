"""The inbox: fills whose bot is not known, with the buttons that say whose they are or that they are nobody's."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.admin.ledger import BotLedgerAdmin, bot_link, currencies, reference
from bots.choices import InboxStatus
from bots.models import Bot, ReconciliationCase, UnattributedFill
from bots.selectors.inbox import bots_of, likely_bot, orders_that_fit
from bots.services.unattributed import unattributed_assign, unattributed_dismiss, unattributed_reopen
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, RelatedFilter
from tradingdb.lib.asking import ReasonForm, RowForm, asking
from tradingdb.lib.sections import Section, table
from tradingdb.lib.units import Kind


class AssignForm(RowForm):
    """Whose the fill is, and how one knows."""

    bot = forms.ModelChoiceField(Bot.objects.none(), help_text="One of the bots on this account.")
    order_id = forms.CharField(
        max_length=100, required=False, help_text="Its order, where you know it; else one is found, or made for it."
    )
    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 3}), help_text="How you know whose it is."
    )

    def fit(self, row: Any) -> None:
        choice: Any = self.fields["bot"]
        choice.queryset = bots_of(row)
        self.initial["bot"] = likely_bot(row)


@admin.register(UnattributedFill)
class UnattributedFillAdmin(BotLedgerAdmin):
    list_display = (
        "received_at", "account", "symbol", "side", "quantity", "price", "executed_at", "state", "bot",
        "exchange_trade_id", "source",
    )  # fmt: skip
    list_filter = (("status", ChoicesFilter), ("account", RelatedFilter), ("received_at", DayRangeFilter))
    list_select_related = ("account",)
    ordering = ("-id",)
    search_exact = ("exchange_trade_id", "exchange_order_id")
    search_help_text = "Whole execution or order id of the exchange"
    empty_note = "Nothing here. A fill that an account's stream or an importer cannot give to a bot waits here."
    fieldsets = (
        (
            None,
            {"fields": (("state", "account"), ("symbol", "side"), ("quantity", "price"), ("fee", "fee_currency"),
                        ("executed_at", "received_at"), ("exchange_trade_id", "exchange_order_id"),
                        ("client_order_id", "source"))},
        ),
        ("Whose it is", {"fields": (("bot", "fill"), "reason", "note", ("resolved_at", "show_resolved_by"))}),
        ("Bodies", {"fields": ("body", "other_bodies")}),
    )  # fmt: skip
    resource_type = "unattributedfill"
    actions_detail = ("assign", "dismiss", "reopen")

    def units(self, row: UnattributedFill) -> Mapping[Kind, str]:
        return currencies(row.symbol, row.account.currency)

    def get_totals_by(self) -> Mapping[str, str]:
        return {}

    @admin.display(description="Status")
    def state(self, row: UnattributedFill) -> SafeString:
        return display.badge(row.status, tone={"open": "bad", "assigned": "ok"}.get(row.status, ""))

    @admin.display(description="Bot")
    def show_bot(self, row: UnattributedFill) -> SafeString:
        return bot_link(row.bot_id)

    @admin.display(description="Fill")
    def fill(self, row: UnattributedFill) -> SafeString:
        return reference("fill", row.bot_id or "", row.fill_id)

    @admin.display(description="Settled by")
    def show_resolved_by(self, row: UnattributedFill) -> SafeString:
        return display.text(row.resolved_by)

    def is_offered(self, name: str, row: UnattributedFill) -> bool:
        wanted = InboxStatus.DISMISSED if name == "reopen" else InboxStatus.OPEN
        return row.status == wanted

    @asking(label="Assign to a bot", permission="intervene", icon="assignment_ind", form_class=AssignForm)
    def assign(self, request: HttpRequest, row: UnattributedFill, data: dict[str, Any]) -> str:
        """It becomes a fill of that bot, with all its effects on order, position and trade. If the bot reports it
        later under its own id, that is a conflict and nothing counts twice."""
        bot = data["bot"].bot_id
        unattributed_assign(
            row_id=row.pk, bot_id=bot, order_id=data["order_id"] or None, reason=data["reason"],
            actor=Actor(request.user, request),
        )  # fmt: skip
        return f"It is a fill of {bot} now."

    @asking(label="Dismiss", permission="intervene", icon="do_not_disturb_on", form_class=ReasonForm)
    def dismiss(self, request: HttpRequest, row: UnattributedFill, data: dict[str, Any]) -> str:
        """It stays here and counts nowhere. It can be opened again, and a bot that reports it still gets its fill."""
        unattributed_dismiss(row_id=row.pk, reason=data["reason"], actor=Actor(request.user, request))
        return "The fill is dismissed."

    @asking(label="Open again", permission="intervene", icon="undo", form_class=ReasonForm)
    def reopen(self, request: HttpRequest, row: UnattributedFill, data: dict[str, Any]) -> str:
        """It waits for its bot again."""
        unattributed_reopen(row_id=row.pk, reason=data["reason"], actor=Actor(request.user, request))
        return "The fill waits for its bot again."

    def sections(self, request: HttpRequest, row: UnattributedFill) -> list[Section]:
        cases = ReconciliationCase.objects.filter(
            kind__in=("unattributed", "content_conflict"), account=row.account_id, symbol=row.symbol
        )
        return [
            table(self.admin_site, "Orders that the exchange names", orders_that_fit(row),
                  ("order_id", "bot", "status", "side", "quantity", "filled_quantity", "created_at")),
            table(self.admin_site, "Bots on this account", bots_of(row),
                  ("bot_id", "bot_name", "status", "deployment_mode", "heartbeat")),
            table(self.admin_site, "Cases", cases.order_by("-id"),
                  ("opened_at", "kind", "subject_id", "state", "gone_since")),
        ]  # fmt: skip
