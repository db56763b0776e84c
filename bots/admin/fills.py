"""Fills: each links to its order, its position and its trade, and a wrong one to its correction."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin, symbols_of
from bots.choices import Liquidity
from bots.ledger.shapes import stamp
from bots.models import Fill, Order, Position, Trade
from bots.selectors.corrections import SOURCE, corrected_by, corrections_of, may_be_corrected
from bots.services.corrections import CHANGEABLE, fill_correct
from bots.services.notes import ledger_id
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter
from tradingdb.lib.asking import RowForm, asking
from tradingdb.lib.sections import Section, table
from tradingdb.lib.times import parse_utc

FILL_COLUMNS = (
    "fill_id", "executed_at", "side", "quantity", "price", "num_fee", "realized_pnl", "order_id", "liquidity", "flags"
)  # fmt: skip
CORRECTION_COLUMNS = ("fill_id", "executed_at", "side", "quantity", "price", "num_fee", "order_id")
NEVER = "never"


def figure(**options: Any) -> forms.DecimalField:
    """Return a field for an amount, as text: a spinner would round it."""
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.DecimalField(max_digits=38, decimal_places=18, widget=widget, **options)


class CorrectionForm(RowForm):
    """What is right instead, beginning with what is stored."""

    what = forms.ChoiceField(
        label="What is wrong",
        choices=[("figures", "Its figures: those below are right"), (NEVER, "All of it: it never happened")],
        help_text="What never happened is only taken back; the figures below do not count then.",
    )
    price = figure(required=False)
    quantity = figure(required=False)
    fee = figure(required=False, help_text="Negative is a rebate; empty: none was told.")
    fee_currency = forms.RegexField(
        r"^[A-Z0-9][A-Z0-9._-]{0,19}$", required=False, help_text="Empty: the quote currency.", empty_value=None
    )
    liquidity = forms.ChoiceField(choices=[("", "not told"), *Liquidity.choices], required=False)
    executed_at = forms.CharField(max_length=40, required=False, help_text="With its offset from UTC.")
    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 3}), help_text="How you know. Kept with the correction."
    )

    def fit(self, row: Any) -> None:
        for name in CHANGEABLE:
            self.initial[name] = getattr(row, name)
        for name in ("price", "quantity", "fee"):
            value = self.initial[name]
            self.initial[name] = None if value is None else display.plain(value)
        self.initial["executed_at"] = stamp(row.executed_at)

    def clean_executed_at(self) -> Any:
        try:
            return parse_utc(self.cleaned_data["executed_at"])
        except ValueError as e:
            if self.cleaned_data.get("what") == NEVER:
                return None
            raise forms.ValidationError(f"The time {e}.") from e

    def clean_liquidity(self) -> str | None:
        return self.cleaned_data["liquidity"] or None


def right_of(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the columns as they should be; None when the fill never happened."""
    return None if data["what"] == NEVER else {name: data[name] for name in CHANGEABLE}


@admin.register(Fill)
class FillAdmin(BotLedgerAdmin):
    list_display = (
        "fill_id", "bot", "symbol", "side", "quantity", "price", "num_fee", "realized_pnl", "executed_at", "order_id",
        "position_id", "flags",
    )  # fmt: skip
    list_filter = (BOT_FILTER, symbols_of(Order), ("side", ChoicesFilter), ("executed_at", DayRangeFilter))
    ordering = ("-executed_at",)
    natural_key = "fill_id"
    totals = ("realized_pnl", "fee_quote")
    scoped_search = ("fill_id", "order_id")
    search_help_text = "Whole fill or order id"
    fieldsets = (
        (
            None,
            {"fields": (("fill_id", "bot"), ("symbol", "side"), ("quantity", "price"), ("executed_at", "received_at"),
                        ("order_id", "account"), ("liquidity", "exchange_trade_id"))},
        ),
        ("Fee", {"fields": (("num_fee", "fee_rate"), ("fee_quote", "closing_fee_quote"))}),
        (
            "Effect on positions",
            {"fields": (("position_id", "opened_position_id"), ("closed_quantity", "realized_pnl"), "flags")},
        ),
        ("Origin", {"fields": (("source", "config_version"),)}),
    )  # fmt: skip
    actions_detail = ("correct",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        groups = super().get_fieldsets(request, obj)
        if obj is not None and obj.source == SOURCE:
            groups.append(("Correction", {"fields": [self.present("why", in_list=False)]}))
        return groups

    def resource_id(self, row: Any) -> str:
        return ledger_id(row)

    def is_offered(self, name: str, row: Fill) -> bool:
        return may_be_corrected(row)

    @asking(
        label="Correct", permission="administer", icon="published_with_changes", form_class=CorrectionForm,
        is_grave=True,
    )  # fmt: skip
    def correct(self, request: HttpRequest, row: Fill, data: dict[str, Any]) -> str:
        """The fill stays as it was told. A fill against it takes it back, and one with what is right takes its place,
        with all their effects on position, trade and profit. It cannot be undone, only corrected again."""
        done = fill_correct(
            bot_id=row.bot_id, fill_id=row.fill_id, right=right_of(data), reason=data["reason"],
            actor=Actor(request.user, request),
        )  # fmt: skip
        return f"It is corrected by {' and '.join(fill['fill_id'] for fill in done.body['fills'])}."

    @admin.display(description="Why")
    def why(self, fill: Fill) -> SafeString:
        """What the person said who corrected: it stands with the order of the correcting entry."""
        told = Order.objects.filter(bot_id=fill.bot_id, order_id=fill.order_id).values_list("order_metadata", flat=True)
        return display.text((told.first() or {}).get("reason"))

    @admin.display(description="Fee")
    def num_fee(self, fill: Fill) -> SafeString:
        """The fee as it was charged, in its own currency."""
        return display.money(fill.fee, unit=fill.fee_currency or "")

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        positions = [pid for pid in (row.position_id, row.opened_position_id) if pid]
        of_bot = {"bot_id": row.bot_id, "position_id__in": positions}
        return [
            *self._corrections(row),
            table(self.admin_site, "Order", Order.objects.filter(bot_id=row.bot_id, order_id=row.order_id),
                  ("order_id", "status", "side", "quantity", "filled_quantity", "avg_fill_price", "created_at"),
                  empty="The order has not been reported."),
            table(self.admin_site, "Position", Position.objects.filter(**of_bot),
                  ("position_id", "side", "size", "avg_entry_price", "realized_pnl", "opened_at", "closed_at")),
            table(self.admin_site, "Trade", Trade.objects.filter(**of_bot),
                  ("trade_id", "side", "quantity", "entry_price", "exit_price", "pnl_usd", "exit_time")),
        ]  # fmt: skip

    def _corrections(self, row: Fill) -> list[Section]:
        """Both ways: what corrects a wrong fill, and which wrong fill a correcting entry is for."""
        found = {"Corrected by": corrections_of(row), "Corrects": corrected_by(row)}
        return [
            table(self.admin_site, title, fills, CORRECTION_COLUMNS) for title, fills in found.items() if fills.exists()
        ]
