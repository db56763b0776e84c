"""Rules for JSON columns: PostgreSQL takes any JSON into them, readers expect an object, a list, or a certain list."""

from typing import Any

from django.db import models
from django.db.models import F, Func, Q

from tradingdb.lib.fields import SYMBOL

# Each element is text in the form of a symbol, of an interval such as 15m. A path finds what breaks the rule; it is
# strict, for a lax one looks through a list inside the list.
NO_SYMBOL = f'strict $[*] ? (@.type() != "string" || !(@ like_regex "{SYMBOL}"))'
NO_INTERVAL = 'strict $[*] ? (@.type() != "string" || !(@ like_regex "^[0-9A-Za-z]{1,10}$"))'


class IsJsonObject(Func):
    """Whether a JSON value is an object."""

    function = "is_json_object"
    template = "jsonb_typeof((%(expressions)s)::jsonb) = 'object'"
    output_field = models.BooleanField()


class IsJsonArray(Func):
    """Whether a JSON value is a list."""

    function = "is_json_array"
    template = "jsonb_typeof((%(expressions)s)::jsonb) = 'array'"
    output_field = models.BooleanField()


class NoneMatch(Func):
    """Whether an SQL/JSON path finds nothing in a JSON value; `says` is what that means, for the tables' pages.

    A filter that is unknown finds nothing, so a path must decide every type of JSON. What is not a list at all passes:
    json_lists() refuses it.
    """

    template = "NOT jsonb_path_exists((%(expressions)s)::jsonb, '%(path)s', '{}', true)"
    output_field = models.BooleanField()

    def __init__(self, *expressions: Any, path: str, says: str, **options: Any) -> None:
        super().__init__(*expressions, path=path, **options)
        self.function = says


def json_objects(name: str, *fields: str) -> models.CheckConstraint:
    """Hold JSON columns to objects. NULL passes."""
    return models.CheckConstraint(condition=Q(*(IsJsonObject(F(field)) for field in fields)), name=name)


def json_lists(name: str, *fields: str) -> models.CheckConstraint:
    """Hold JSON columns to lists. NULL passes."""
    return models.CheckConstraint(condition=Q(*(IsJsonArray(F(field)) for field in fields)), name=name)


def symbol_list(name: str, field: str) -> models.CheckConstraint:
    """Hold each element of a JSON list to the form of a symbol. NULL passes."""
    rule = NoneMatch(F(field), path=NO_SYMBOL, says="holds_symbols")
    return models.CheckConstraint(condition=Q(rule), name=name)


def interval_list(name: str, field: str) -> models.CheckConstraint:
    """Hold each element of a JSON list to the form of an interval, such as 15m or 1h. NULL passes."""
    rule = NoneMatch(F(field), path=NO_INTERVAL, says="holds_intervals")
    return models.CheckConstraint(condition=Q(rule), name=name)
