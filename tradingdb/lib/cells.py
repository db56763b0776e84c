"""Cells of the tables that people take out and bring in: exact text that no spreadsheet runs as a formula."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.dateparse import parse_date

# What makes a spreadsheet take text for a formula, wide forms as well: some take them for the narrow ones. With the
# apostrophe among them, taking one away again is exact.
RISKY = tuple("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")
# A number cell of a spreadsheet is a binary float: fifteen digits survive in it.
SAFE_DIGITS = 15
DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
WHOLE = re.compile(r"[+-]?\d{1,30}", re.ASCII)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
YES, NO = ("true", "1", "yes"), ("false", "0", "no")


def escape(text: str) -> str:
    """Return text that a spreadsheet shows as it is: an apostrophe goes before what would begin a formula."""
    return f"'{text}" if text.startswith(RISKY) else text


def unescape(text: str) -> str:
    """Return what `escape` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(RISKY) else text


def decimal_text(value: Decimal) -> str:
    """Return every digit, without exponent and without the zeros a column pads it with."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment_text(value: datetime) -> str:
    """Return a time as ISO 8601 in UTC with Z, to the microsecond where it has any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain_text(value: Any) -> str:
    """Return text, and anything else as text."""
    return escape(value if isinstance(value, str) else str(value))


def json_text(value: Any) -> str:
    """Return JSON in one line; PostgreSQL's own text of it comes as text already."""
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def list_text(value: Any) -> str:
    """Return a list as JSON."""
    return escape(json.dumps(value, ensure_ascii=False, default=str))


def switch_text(value: bool) -> str:
    """Return true or false."""
    return "true" if value else "false"


def shape(field: Any) -> Any:
    """Return the field that says what a column holds: a computed column has one inside, a relation points to one."""
    while field.is_relation:
        field = field.target_field
    return field.output_field if isinstance(field, models.GeneratedField) else field


def writer(field: Any) -> Callable[[Any], str]:
    """Return what turns a column's values, NULL apart, into cells."""
    field = shape(field)
    kinds: tuple[tuple[type, Callable[[Any], str]], ...] = (
        (models.DecimalField, decimal_text),
        (models.BooleanField, switch_text),
        (models.IntegerField, str),
        (models.FloatField, repr),
        (models.DateTimeField, moment_text),
        (models.DateField, date.isoformat),
        (models.JSONField, json_text),
        (ArrayField, list_text),
    )
    return next((write for kind, write in kinds if isinstance(field, kind)), plain_text)


def read_decimal(text: str) -> str:
    """Return the text of a decimal; the form takes it from there, digit by digit. Raises ValueError."""
    if not DECIMAL.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no number; write it with a point and without separators.")
    try:
        return str(Decimal(text))
    except InvalidOperation as e:
        raise ValueError(f"{text[:40]!r} is no number.") from e


def read_whole(text: str) -> str:
    """Return the text of a whole number. Raises ValueError."""
    if not WHOLE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no whole number.")
    return text


def read_moment(text: str) -> str:
    """Return a time that says its zone. Raises ValueError for one that leaves it open."""
    if not MOMENT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no time with a zone; write it like 2026-11-20T07:45:03Z.")
    try:
        return moment_text(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as e:
        raise ValueError(f"{text[:40]!r} is no time: {e}.") from e


def read_day(text: str) -> str:
    """Return a day as ISO writes it. Raises ValueError."""
    day = parse_date(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    if day is None:
        raise ValueError(f"{text[:40]!r} is no day; write it like 2026-11-20.")
    return day.isoformat()


def read_switch(text: str) -> str:
    """Return "true" or "", which a form reads as off. Raises ValueError: a typing error must not mean "off"."""
    word = text.lower()
    if word not in YES + NO:
        raise ValueError(f"{text[:40]!r} is neither true nor false.")
    return "true" if word in YES else ""


def read_list(text: str) -> str:
    """Return a JSON list with commas between its words, as the form of a list column takes it. Raises ValueError."""
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) and "," not in word for word in words):
        raise ValueError(f'{text[:40]!r} is no list; write it like ["a", "b"].')
    return ",".join(words)


def reader(field: Any) -> Callable[[str], str]:
    """Return what checks a cell that is not empty, and turns it into what the form of its column takes."""
    field = shape(field)
    kinds: tuple[tuple[type, Callable[[str], str]], ...] = (
        (models.DecimalField, read_decimal),
        (models.BooleanField, read_switch),
        (models.IntegerField, read_whole),
        (models.FloatField, read_decimal),
        (models.DateTimeField, read_moment),
        (models.DateField, read_day),
        (ArrayField, lambda text: read_list(unescape(text))),
    )
    return next((read for kind, read in kinds if isinstance(field, kind)), unescape)
