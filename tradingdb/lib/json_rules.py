"""Rules for JSON columns: PostgreSQL holds any JSON in them, readers expect an object or a list."""

from typing import Any

from django.db import models
from django.db.models import F, Func, Q

from tradingdb.lib.fields import SYMBOL


class IsJson(Func):
    """Whether a JSON value is of one kind, `object` or `array`."""

    function = "jsonb_typeof"
    template = "jsonb_typeof((%(expressions)s)::jsonb) = '%(kind)s'"
    output_field = models.BooleanField()


class HoldsSymbols(Func):
    """Whether every element of a JSON list is text in the form of a symbol."""

    # The function's name is for the model's page; the template says what is computed.
    function = "holds_symbols"
    template = (
        "NOT jsonb_path_exists((%(expressions)s)::jsonb, "
        """'$[*] ? (!(@.type() == "string" && @ like_regex "%(pattern)s"))')"""
    )
    output_field = models.BooleanField()


def json_objects(name: str, *fields: str) -> models.CheckConstraint:
    """Hold JSON columns to objects. NULL passes."""
    return _all_are(name, "object", fields)


def json_lists(name: str, *fields: str) -> models.CheckConstraint:
    """Hold JSON columns to lists. NULL passes."""
    return _all_are(name, "array", fields)


def symbol_list(name: str, field: str) -> models.CheckConstraint:
    """Hold the elements of a JSON list to the form of symbols. NULL passes."""
    return models.CheckConstraint(condition=Q(HoldsSymbols(F(field), pattern=SYMBOL)), name=name)


def _all_are(name: str, kind: str, fields: tuple[str, ...]) -> models.CheckConstraint:
    conditions: list[Any] = [IsJson(F(field), kind=kind) for field in fields]
    return models.CheckConstraint(condition=Q(*conditions), name=name)
