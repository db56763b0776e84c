"""The types that every input of the API is made of. Each refuses what the ledger cannot hold; none rounds."""

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Annotated, Any, TypeVar

from django.db.models import TextChoices
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, Strict, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from tradingdb.lib.errors import ValidationFailed
from tradingdb.lib.strictjson import MAX_DEPTH, MAX_NUMBER_LENGTH
from tradingdb.lib.times import parse_utc, refuse_future, to_utc

INTEGER_DIGITS = 20
DECIMAL_PLACES = 18
# The largest value of a PostgreSQL integer column.
MAX_INTEGER = 2**31 - 1
MAX_ERRORS = 50
MAX_LOC_LENGTH = 100

M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", bound=TextChoices)

_PLAIN = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")
# As it is described: beyond these only zeros are taken.
_UNSIGNED_PATTERN = rf"[0-9]{{1,{INTEGER_DIGITS}}}(\.[0-9]{{1,{DECIMAL_PLACES}}})?$"
_DECIMAL_BOUNDS = {"exclusiveMinimum": -(10**INTEGER_DIGITS), "exclusiveMaximum": 10**INTEGER_DIGITS}
# Wide enough that normalising never rounds what the parser lets through.
_WIDE = Context(prec=2 * MAX_NUMBER_LENGTH)
_ZERO = Decimal(0)


def wrong(code: str, message: str) -> PydanticCustomError:
    """Return the error that a validator raises."""
    return PydanticCustomError(code, message)


# --- numbers


def to_decimal(value: object) -> Decimal:
    """Return the exact decimal of plain text, an int or a Decimal; raise PydanticCustomError for anything else.

    At most 20 digits before the point and 18 after it, not counting zeros at the ends.
    """
    if isinstance(value, str):
        number = _from_text(value)
    elif isinstance(value, Decimal):
        number = _plain(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    else:
        raise wrong("decimal_type", "must be a decimal: text or a number")
    if number.adjusted() >= INTEGER_DIGITS and number:
        raise wrong("decimal_digits", f"must have at most {INTEGER_DIGITS} digits before the point")
    return number


def _from_text(text: str) -> Decimal:
    match = _PLAIN.fullmatch(text) if len(text) <= MAX_NUMBER_LENGTH else None
    if match is None:
        raise wrong("decimal_text", "must be a plain decimal number such as 12.5")
    sign, whole, places = match.groups()
    if places and len(places) > DECIMAL_PLACES:
        places = places.rstrip("0")
        _check_places(len(places))
        text = f"{sign}{whole}.{places}" if places else sign + whole
    return Decimal(text) or _ZERO


def _plain(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise wrong("decimal_finite", "must be a finite number")
    if not value:
        return _ZERO
    if abs(value.adjusted()) > MAX_NUMBER_LENGTH:
        raise wrong("decimal_digits", "is too large or too small a number")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -DECIMAL_PLACES <= exponent <= 0:
        return value
    short = value.normalize(_WIDE)
    exponent = short.as_tuple().exponent
    assert isinstance(exponent, int)
    _check_places(-exponent)
    return Decimal(f"{short:f}")


def _check_places(places: int) -> None:
    if places > DECIMAL_PLACES:
        raise wrong("decimal_places", f"must have at most {DECIMAL_PLACES} digits after the point")


def _positive(value: object) -> Decimal:
    number = to_decimal(value)
    if number <= 0:
        raise wrong("positive", "must be greater than 0")
    return number


def _not_negative(value: object) -> Decimal:
    number = to_decimal(value)
    if number < 0:
        raise wrong("not_negative", "must not be negative")
    return number


def _within_one(value: object) -> Decimal:
    number = to_decimal(value)
    if not 0 <= number <= 1:
        raise wrong("ratio", "must lie between 0 and 1")
    _check_ratio_places(number)
    return number


def _ratio(value: object) -> Decimal:
    number = to_decimal(value)
    if number.adjusted() >= 12 and number:
        raise wrong("decimal_digits", "must have at most 12 digits before the point")
    _check_ratio_places(number)
    return number


def _check_ratio_places(number: Decimal) -> None:
    exponent = number.normalize(_WIDE).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -12:
        raise wrong("decimal_places", "must have at most 12 digits after the point")


def _number(value: object) -> float:
    return float(to_decimal(value))


def _decimal_json(sign: str = "", **bounds: object) -> WithJsonSchema:
    # With a pattern, a fuzzer and a code generator know what text is meant.
    text = {"type": "string", "pattern": f"^{sign}{_UNSIGNED_PATTERN}", "maxLength": MAX_NUMBER_LENGTH}
    return WithJsonSchema({"anyOf": [text, {"type": "number", **_DECIMAL_BOUNDS, **bounds}]})


# A money amount, price or quantity: fits numeric(38,18) without rounding.
DecimalIn = Annotated[Decimal, PlainValidator(to_decimal), _decimal_json("-?")]
PositiveDecimal = Annotated[Decimal, PlainValidator(_positive), _decimal_json(exclusiveMinimum=0)]
NonNegativeDecimal = Annotated[Decimal, PlainValidator(_not_negative), _decimal_json(minimum=0)]
# A share between 0 and 1, and any ratio: they fit numeric(24,12).
Ratio01 = Annotated[Decimal, PlainValidator(_within_one), _decimal_json(minimum=0, maximum=1)]
RatioIn = Annotated[Decimal, PlainValidator(_ratio), _decimal_json("-?")]
# A meter reading that is no money, such as a latency.
FloatIn = Annotated[float, PlainValidator(_number), _decimal_json("-?")]
IntegerIn = Annotated[int, Field(strict=True, ge=-MAX_INTEGER, le=MAX_INTEGER)]
CountIn = Annotated[int, Field(strict=True, ge=0, le=MAX_INTEGER)]
Flag = Annotated[bool, Strict()]


# --- times


def _utc(value: object) -> datetime:
    try:
        if isinstance(value, str):
            return parse_utc(value)
        if isinstance(value, datetime):
            return to_utc(value)
    except ValueError as e:
        raise wrong("time", str(e)) from e
    raise wrong("time", "must be an RFC 3339 time as text")


def _fact_time(value: object) -> datetime:
    moment = _utc(value)
    try:
        return refuse_future(moment, datetime.now(UTC))
    except ValueError as e:
        raise wrong("time_future", str(e)) from e


_TIME_PATTERN = (
    r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_TIME_JSON = WithJsonSchema({"type": "string", "format": "date-time", "pattern": _TIME_PATTERN})
# Any moment from 2000 to 2099; the moment of a fact, which cannot lie in the future.
UtcTime = Annotated[datetime, PlainValidator(_utc), _TIME_JSON]
FactTime = Annotated[datetime, PlainValidator(_fact_time), _TIME_JSON]


# --- text

# Rust's regular expressions: $ is the end of the text, not a line before it.
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9._:/-]{0,39}$", max_length=40, strict=True)]
Ident = Annotated[str, Field(pattern=r"^[!-~]+$", min_length=1, max_length=100, strict=True)]
BotId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$", max_length=50, strict=True)]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9._-]{0,19}$", max_length=20, strict=True)]
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
# Words on one line: a strategy, an exchange, a component.
Line20 = Annotated[str, Field(pattern=_NO_CONTROLS, max_length=20, strict=True)]
Line50 = Annotated[str, Field(pattern=_NO_CONTROLS, max_length=50, strict=True)]
Line100 = Annotated[str, Field(pattern=_NO_CONTROLS, max_length=100, strict=True)]
Name50 = Annotated[str, Field(pattern=_NO_CONTROLS, min_length=1, max_length=50, strict=True)]
Name100 = Annotated[str, Field(pattern=_NO_CONTROLS, min_length=1, max_length=100, strict=True)]
# Text of several lines.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=10_000, strict=True)]
Reason = Annotated[str, Field(pattern=r"^[^\x00]*\S[^\x00]*$", min_length=1, max_length=2_000, strict=True)]
# One word of a closed set: Word[Side].
Word = Annotated[E, Strict(False)]


# --- free JSON


def to_json_value(value: object, depth: int = MAX_DEPTH) -> Any:
    """Return a parsed JSON value as the json module can write it again.

    A Decimal becomes a float where that says exactly the same, else text; raises PydanticCustomError for what JSON or
    PostgreSQL cannot hold.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, Decimal):
        return _json_number(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth <= 0:
        raise wrong("json_depth", f"must not nest deeper than {MAX_DEPTH} levels")
    if isinstance(value, (list, tuple)):
        return [to_json_value(inner, depth - 1) for inner in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {_clean(key): to_json_value(inner, depth - 1) for key, inner in value.items()}
    raise wrong("json_value", "must hold JSON values only")


def _clean(text: str) -> str:
    if "\x00" in text:
        raise wrong("text", "must not hold NUL characters")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as e:
        raise wrong("text", "must not hold lone surrogates") from e
    return text


def _json_number(value: Decimal) -> float | str:
    if not value.is_finite() or abs(value.adjusted()) > MAX_NUMBER_LENGTH * 2:
        raise wrong("json_value", "must hold finite numbers only")
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else f"{value:f}"


def _json_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong("json_object", "must be a JSON object")
    result: dict[str, Any] = to_json_value(value)
    return result


def _json_value(value: object) -> Any:
    return to_json_value(value)


JsonObject = Annotated[dict[str, Any], PlainValidator(_json_object), WithJsonSchema({"type": "object"})]
JsonValue = Annotated[Any, PlainValidator(_json_value), WithJsonSchema({})]


# --- models


class StrictModel(BaseModel):
    """A body of the API: unknown fields are refused, nothing is converted silently, nothing is changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_enum_values=True, hide_input_in_errors=True)


def validated(model: type[M], data: object, *, loc: Iterable[str | int] = ("body",)) -> M:
    """Return the model of `data`; raise ValidationFailed, naming each place, when it does not fit."""
    try:
        return model.model_validate(data)
    except ValidationError as e:
        raise failure(e, loc=loc) from e


def failure(error: ValidationError, *, loc: Iterable[str | int] = ("body",)) -> ValidationFailed:
    """Return a pydantic error as the contract tells it: where, and what is wrong; never the value."""
    places = error.errors(include_url=False, include_context=False, include_input=False)
    return failure_of([((*loc, *place["loc"]), place["msg"]) for place in places])


def failure_of(places: Iterable[tuple[Iterable[str | int], str]]) -> ValidationFailed:
    """Return ValidationFailed over (place, message) pairs, the first 50 of them."""
    errors: list[dict[str, object]] = [
        {"loc": [part[:MAX_LOC_LENGTH] if isinstance(part, str) else part for part in loc], "msg": message}
        for loc, message in list(places)[:MAX_ERRORS]
    ]
    first = errors[0]
    assert isinstance(first["loc"], list)
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return ValidationFailed(f"{where}: {first['msg']}{more}", errors=errors)
