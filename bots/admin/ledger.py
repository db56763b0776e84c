"""What the pages of the ledger share: links between rows by their natural ids, currencies of a row, filters, notes."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.choices import DeploymentMode
from bots.ledger.symbols import split_symbol
from bots.services.notes import ledger_id, notes_set
from tradingdb.lib import display
from tradingdb.lib.admin import DropdownFilter, LedgerAdmin, RelatedFilter
from tradingdb.lib.columns import Column, label_of, named
from tradingdb.lib.keyset import distinct_values
from tradingdb.lib.totals import Group
from tradingdb.lib.units import Kind

# Text columns that name a row of another table by its id for the same bot.
REFERENCES = {
    "order_id": "order",
    "execution_order_id": "order",
    "position_id": "position",
    "opened_position_id": "position",
    "trade_id": "trade",
    "execution_trade_id": "trade",
    "signal_id": "signal",
    "fill_id": "fill",
    "opening_fill_id": "fill",
    "closing_fill_id": "fill",
    "last_fill_id": "fill",
}
BOT_FILTER = ("bot", RelatedFilter)


class SymbolFilter(DropdownFilter):
    """Symbols of this table, found by hopping over its index instead of reading it."""

    title = "symbol"
    parameter_name = "symbol"
    # Table with an index that starts with the symbol; None: the list's own.
    source: ClassVar[type[models.Model] | None] = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(symbol, symbol) for symbol in distinct_values(self.source or model_admin.model, "symbol")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(symbol=self.value()) if self.value() else queryset


def symbols_of(model: type[models.Model]) -> type[SymbolFilter]:
    """Return the filter with another table's symbols, for a table without such an index."""
    return type("SymbolFilter", (SymbolFilter,), {"source": model})


def bot_link(bot_id: str | None) -> SafeString:
    """Return a link to a bot's page."""
    return display.link(bot_id, "bots_bot_change", bot_id) if bot_id else display.UNKNOWN


def reference(table: str, bot_id: str, natural_id: str | None) -> SafeString:
    """Return a link to a row that another row names."""
    if not natural_id:
        return display.UNKNOWN
    return display.link(display.identifier(natural_id), f"bots_{table}_find", bot=bot_id, id=natural_id)


def reference_column(field: Any, table: str) -> Column:
    """Return the display callable of a text column that names another row."""

    def present(row: Any) -> SafeString:
        return reference(table, row.bot_id, getattr(row, field.attname))

    return named(present, name=f"shown_{field.name}", heading=label_of(field).removesuffix(" ID"))


def currencies(symbol: str, currency: str) -> Mapping[Kind, str]:
    """Return in what each kind of number is, from a row's symbol and its bot's currency."""
    base, quote = split_symbol(symbol, currency)
    return {Kind.PRICE: quote, Kind.QUANTITY: base, Kind.QUOTE: quote, Kind.ACCOUNT: currency}


class BotLedgerAdmin(LedgerAdmin):
    """A page of rows that belong to a bot."""

    def show_bot(self, row: Any) -> SafeString:
        return bot_link(row.bot_id)

    show_bot.short_description = "Bot"  # type: ignore[attr-defined]

    def show_account(self, row: Any) -> SafeString:
        if row.account_id is None:
            return display.UNKNOWN
        return display.link(row.account, "bots_exchangeaccount_change", row.account_id)

    show_account.short_description = "Account"  # type: ignore[attr-defined]

    def present(self, name: Any, *, in_list: bool) -> Any:
        table = REFERENCES.get(name) if isinstance(name, str) else None
        if table is None or table == self.opts.model_name:
            return super().present(name, in_list=in_list)
        known = self.__dict__.setdefault("_known_references", {})
        if name not in known:
            known[name] = reference_column(self.opts.get_field(name), table)
        return known[name]

    def units(self, row: Any) -> Mapping[Kind, str]:
        return currencies(getattr(row, "symbol", ""), row.bot.currency)

    def get_totals_by(self) -> Mapping[str, str]:
        """Money is live or not by the bot's mode and by what the row says of itself; its currency is the symbol's."""
        by = {"mode": "bot__deployment_mode", "currency": "bot__currency"}
        names = {field.name for field in self.opts.concrete_fields}
        return by | {name: name for name in ("symbol", "is_paper_trade") if name in names}

    def totals_group(self, kind: Kind | None, values: Mapping[str, Any]) -> Group:
        # A live bot may trade on paper; what the others trade is play money anyway.
        is_play = values["mode"] == DeploymentMode.LIVE and values.get("is_paper_trade")
        mode = f"{values['mode']} on paper" if is_play else str(values["mode"])
        units = currencies(values.get("symbol", ""), values["currency"])
        return Group(mode, units.get(kind or Kind.ACCOUNT, ""))


class NotesAdmin(BotLedgerAdmin):
    """A page of ledger rows whose notes, and nothing else, traders and admins may write."""

    editable = ("notes",)

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        # Only this column is written: the form's other values are as old as the page.
        actor = Actor(request.user, request)
        notes_set(model=type(obj), pk=obj.pk, notes=form.cleaned_data["notes"] or "", actor=actor)

    def resource_id(self, row: Any) -> str:
        return ledger_id(row)
