"""Turns field names into display columns by the field's type and unit, so that a page names fields and nothing else."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from tradingdb.lib import display
from tradingdb.lib.units import NUMBER, Kind, is_signed, unit_of

Column = Callable[[Any], Any]
RATIO_PLACES = 3
# Full words where the name of a column is a code.
LABELS = {
    "pnl_usd": "Net P&L",
    "pnl_pct": "Net P&L",
    "gross_pnl": "Gross P&L",
    "realized_pnl": "Realised P&L",
    "unrealized_pnl": "Unrealised P&L",
    "unrealized_pnl_pct": "Unrealised P&L",
    "total_pnl": "Total P&L",
    "total_unrealized_pnl": "Unrealised P&L",
    "total_realized_pnl": "Realised P&L",
    "daily_pnl": "Daily P&L",
    "outcome_pnl": "Outcome P&L",
    "reported_pnl": "Reported P&L",
    "position_value_usd": "Position value",
    "fee_quote": "Fee",
    "max_drawdown_pct": "Max drawdown",
    "sqn": "SQN",
    "cagr": "CAGR",
    "var_95": "VaR 95 %",
    "cvar_95": "CVaR 95 %",
    "portfolio_var_95": "VaR 95 %",
}
ACRONYMS = {"id": "ID", "ip": "IP", "pnl": "P&L", "ema": "EMA", "rsi": "RSI", "atr": "ATR", "api": "API", "usd": "USD"}


def label_of(field: Any) -> str:
    """Return a column's heading: words, with acronyms in capitals."""
    if field.name in LABELS:
        return LABELS[field.name]
    words = str(getattr(field, "verbose_name", field.name)).split()
    return capfirst(" ".join(ACRONYMS.get(word, word) for word in words))


def show_number(field: Any, unit: str, row: models.Model) -> SafeString:
    """Return a numeric value in the way its unit asks for."""
    value = getattr(row, field.attname)
    found = unit_of(field)
    kind = found.kind if found else Kind.PLAIN
    if kind is Kind.SHARE:
        return display.share(value, signed=is_signed(field.name))
    if kind in (Kind.QUOTE, Kind.ACCOUNT):
        return display.pnl(value, unit=unit) if is_signed(field.name) else display.money(value, unit=unit)
    return display.number(value, unit=unit, places=RATIO_PLACES if found is NUMBER else None)


def show_value(field: Any, row: models.Model) -> Any:
    """Return a value that is no number by what it is."""
    value = getattr(row, field.attname)
    if field.choices and not isinstance(field, ArrayField):
        return display.badge(value)
    if isinstance(value, bool):
        return display.badge("yes" if value else "no", tone="neutral")
    if isinstance(value, datetime):
        return display.moment(value)
    if isinstance(value, date):
        return display.day(value)
    if isinstance(field, models.JSONField):
        return display.body(value)
    if isinstance(field, ArrayField):
        return display.flags(value)
    return display.text(value)


def is_number(field: Any) -> bool:
    """Whether a column holds figures, which stand on the right."""
    output = field.output_field if isinstance(field, models.GeneratedField) else field
    return isinstance(output, (models.DecimalField, models.IntegerField, models.FloatField)) and not field.primary_key


def list_column(field: Any) -> Column:
    """Return the display callable of one field in a list: the unit stands in the heading, long ids are cut short.

    A figure's name starts with num_, by which the style sheet sets it on the right.
    """
    unit, heading = unit_of(field), label_of(field)
    if unit is not None and unit.short and unit.kind is not Kind.SHARE and is_number(field):
        heading = f"{heading} ({unit.short})"

    def present(row: models.Model) -> Any:
        if is_number(field):
            return show_number(field, "", row)
        if field.name.endswith("_id") and isinstance(field, models.CharField):
            return display.identifier(getattr(row, field.attname))
        return show_value(field, row)

    name = f"num_{field.name}" if is_number(field) else field.name
    return named(present, name=name, heading=heading, order=field.name)


def page_column(field: Any, units: Callable[[Any], Mapping[Kind, str]]) -> Column:
    """Return the display callable of one field on its row's page: unit and explanation stand beside the value."""
    unit = unit_of(field)

    def present(row: models.Model) -> Any:
        if not is_number(field):
            shown = show_value(field, row)
        elif unit is None or unit.kind is Kind.SHARE:
            shown = show_number(field, "", row)
        else:
            shown = show_number(field, units(row).get(unit.kind, unit.short), row)
        return display.explained(shown, str(field.help_text))

    return named(present, name=f"shown_{field.name}", heading=label_of(field), order=field.name)


def named(present: Column, *, name: str, heading: str, order: str = "") -> Column:
    """Give a display callable the attributes that the admin reads."""
    present.__name__ = name
    present.short_description = heading  # type: ignore[attr-defined]
    if order:
        present.admin_order_field = order  # type: ignore[attr-defined]
    return present
