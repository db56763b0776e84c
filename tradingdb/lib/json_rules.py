"""Rules for JSON columns: PostgreSQL holds any JSON in them, readers expect an object or a list."""

import json
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Func, Q

from tradingdb.lib.fields import SYMBOL

NO_INTERVAL = 'strict $[*] ? (@.type() != "string" || !(@ like_regex "^[0-9A-Za-z]{1,10}$"))'


class ExactDecoder(json.JSONDecoder):
    """Reads numbers of JSON to their last digit, where the database wrote amounts as numbers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(parse_float=Decimal, **options)


class IsJson(Func):
    """Whether a JSON value is of one of some kinds, as jsonb_typeof() names them."""

    function = "jsonb_typeof"
    template = "jsonb_typeof((%(expressions)s)::jsonb) IN (%(kinds)s)"
    output_field = models.BooleanField()


class HoldsSymbols(Func):
    """Whether every element of a JSON list is text in the form of a symbol."""

    # The function's name is for the model's page; the template says what is computed. The lax way would look into
    # lists within the list; silent: what is no list at all is refused by the rule for that.
    function = "holds_symbols"
    template = (
        "NOT jsonb_path_exists((%(expressions)s)::jsonb, "
        """'strict $[*] ? (!(@.type() == "string" && @ like_regex "%(pattern)s"))', silent => true)"""
    )
    output_field = models.BooleanField()


class NoneMatch(Func):
    """Whether an SQL/JSON path finds nothing in a JSON value; `says` is what that means, for the model's page.

    The path is strict and must decide every type of JSON: a filter that is unknown finds nothing. What is no list at
    all is refused by the rule for that.
    """

    template = "NOT jsonb_path_exists((%(expressions)s)::jsonb, '%(path)s', silent => true)"
    output_field = models.BooleanField()

    def __init__(self, *expressions: Any, path: str, says: str, **options: Any) -> None:
        super().__init__(*expressions, path=path, **options)
        self.function = says


def json_objects(name: str, *fields: str, null: bool = False) -> models.CheckConstraint:
    """Hold JSON columns to objects; NULL passes. `null` is for columns that may be NULL: a form checks None as JSON."""
    return _all_are(name, "'object', 'null'" if null else "'object'", fields, words="a JSON object")


def json_lists(name: str, *fields: str) -> models.CheckConstraint:
    """Hold JSON columns to lists; NULL passes."""
    return _all_are(name, "'array'", fields, words="a JSON list")


def symbol_list(name: str, field: str) -> models.CheckConstraint:
    """Hold the elements of a JSON list to the form of symbols; NULL passes."""
    message = f"{field}: each must be a symbol, such as BTCUSDT."
    condition = Q(HoldsSymbols(F(field), pattern=SYMBOL))
    return models.CheckConstraint(condition=condition, name=name, violation_error_message=message)


def interval_list(name: str, field: str) -> models.CheckConstraint:
    """Hold the elements of a JSON list to the form of intervals; NULL passes."""
    message = f"{field}: each must be an interval, such as 15m."
    condition = Q(NoneMatch(F(field), path=NO_INTERVAL, says="holds_intervals"))
    return models.CheckConstraint(condition=condition, name=name, violation_error_message=message)


def _all_are(name: str, kinds: str, fields: tuple[str, ...], *, words: str) -> models.CheckConstraint:
    conditions: list[Any] = [IsJson(F(field), kinds=kinds) for field in fields]
    message = f"{', '.join(fields)}: {words} is expected."
    return models.CheckConstraint(condition=Q(*conditions), name=name, violation_error_message=message)
