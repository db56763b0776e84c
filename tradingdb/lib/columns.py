"""Turns field names into display columns by the field's type and unit, so that a page names fields and nothing else."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from tradingdb.lib import display
from tradingdb.lib.units import Kind, is_signed, unit_of

Column = Callable[[models.Model], Any]
# Full words where the name of a column is a code.
LABELS = {
    "pnl_usd": "Net P&L",
    "pnl_pct": "Net P&L",
    "gross_pnl": "Gross P&L",
    "realized_pnl": "Realised P&L",
    "unrealized_pnl": "Unrealised P&L",
    "unrealized_pnl_pct": "Unrealised P&L",
    "total_pnl": "Total P&L",
    "daily_pnl": "Daily P&L",
    "outcome_pnl": "Outcome P&L",
    "reported_pnl": "Reported P&L",
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
    kind = found.kind if (found := unit_of(field)) else Kind.PLAIN
    if kind is Kind.SHARE:
        return display.share(value, signed=is_signed(field.name))
    if kind in (Kind.QUOTE, Kind.ACCOUNT):
        return display.pnl(value, unit=unit) if is_signed(field.name) else display.money(value, unit=unit)
    return display.number(value, unit=unit)


def show_choice(field: Any, row: models.Model) -> SafeString:
    """Return a member of a closed set as a badge."""
    return display.badge(getattr(row, field.attname))


def show_value(field: Any, row: models.Model) -> Any:
    """Return any other value by what it is."""
    value = getattr(row, field.attname)
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


def column(field: Any, *, in_list: bool, units: Callable[[models.Model], Mapping[Kind, str]]) -> Column:
    """Return the display callable of one field.

    In a list the unit stands in the heading and a figure's name starts with num_, which the style sheet aligns;
    on a page of one row the unit, looked up by its kind, stands beside the value.
    """
    unit = unit_of(field)
    show: Column
    if is_number(field):
        fixed = "" if in_list or unit is None else unit.short
        if not in_list and unit is not None and unit.kind is not Kind.SHARE:
            kind = unit.kind

            def show(row: models.Model) -> SafeString:
                return show_number(field, units(row).get(kind, fixed), row)

        else:
            show = partial(show_number, field, "")
    elif field.choices:
        show = partial(show_choice, field)
    else:
        show = partial(show_value, field)

    def present(row: models.Model) -> Any:
        return show(row)

    heading = label_of(field)
    if in_list and unit is not None and unit.short and unit.kind is not Kind.SHARE:
        heading = f"{heading} ({unit.short})"
    present.short_description = heading  # type: ignore[attr-defined]
    present.admin_order_field = field.name  # type: ignore[attr-defined]
    present.__name__ = f"num_{field.name}" if in_list and is_number(field) else field.name
    return present
