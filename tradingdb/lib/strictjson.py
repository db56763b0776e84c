"""The parser of request bodies: it accepts JSON and nothing beside it, and never changes a number.

Refused: bytes that are not UTF-8, NaN and Infinity, a key that stands twice in one object, NUL and lone surrogates,
nesting deeper than 32, numbers longer than 64 characters or beyond 10^100, and bodies above the limit of their call.
Numbers with a point or an exponent become Decimal, whole ones int.
"""

import re
from array import array
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from json import JSONDecodeError, JSONDecoder
from typing import Any

from tradingdb.lib.errors import BodyTooLarge, MalformedBody, UnsupportedMediaType, ValidationFailed

DEFAULT_LIMIT = 1024 * 1024
BULK_LIMIT = 16 * 1024 * 1024
MAX_DEPTH = 32
MAX_NUMBER_LENGTH = 64
MAX_NUMBER_EXPONENT = 100

JSON_TYPE = "application/json"
_CONTENT_TYPE = re.compile(r'application/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?', re.IGNORECASE)
_WHITESPACE = " \t\n\r"
_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[]{}"'))
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
# As signed bytes: 1 goes one level down, -1 comes back.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
# Only an escape can bring these into text: raw control characters and raw surrogates do not get past the decoders.
_RISKY_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_TOO_LARGE = f"Numbers must have at most {MAX_NUMBER_LENGTH} characters and be smaller than 10^{MAX_NUMBER_EXPONENT}."
_FORBIDDEN_TEXT = re.compile("[\x00\ud800-\udfff]")


def check_content_type(header: str | None, *, allowed: str = JSON_TYPE) -> None:
    """Raise UnsupportedMediaType unless the header names JSON, with UTF-8 or no charset."""
    if header != JSON_TYPE and not _CONTENT_TYPE.fullmatch((header or "").strip()):
        raise UnsupportedMediaType(f"The body must be {allowed}.")


def check_size(length: int, limit: int) -> None:
    """Raise BodyTooLarge for a body of more than `limit` bytes."""
    if length > limit:
        raise BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)


def is_clean(text: str) -> bool:
    """Whether PostgreSQL can store the text: no NUL, no lone surrogate. For query strings and paths."""
    return _FORBIDDEN_TEXT.search(text) is None


def parse(body: bytes, *, limit: int = DEFAULT_LIMIT) -> Any:
    """Return the value of a JSON body.

    Raises BodyTooLarge (413) above `limit` bytes, MalformedBody (400) for what is no JSON, and ValidationFailed (422)
    for JSON that this module refuses.
    """
    check_size(len(body), limit)
    # Few brackets cannot nest deep: counting them spares the usual body the closer look.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise _refused(f"Values must not nest deeper than {MAX_DEPTH} levels.")
    value = _scan(body)
    if b"\\u" in body and _RISKY_ESCAPE.search(body):
        _check_text(value)
    return value


def _scan(body: bytes) -> Any:
    try:
        text = body.decode("utf-8").strip(_WHITESPACE)
        value, end = _DECODER.scan_once(text, 0)
    except UnicodeDecodeError as e:
        raise MalformedBody(f"The body is not UTF-8: byte {e.start}.") from e
    except StopIteration as e:
        raise MalformedBody(f"The body is not JSON: no value at character {e.value}.") from e
    except JSONDecodeError as e:
        raise MalformedBody(f"The body is not JSON: {e.msg} at character {e.pos}.") from e
    if end != len(text):
        raise MalformedBody(f"The body is not JSON: extra data at character {end}.")
    return value


def _depth(body: bytes) -> int:
    """Return how deep the brackets outside text nest. Exact up to the first syntax error, where the scan stops."""
    if b"\\" in body:
        body = _ESCAPE.sub(b"", body)
    outside = b"".join(body.translate(None, _NEITHER_BRACKET_NOR_QUOTE).split(b'"')[::2])
    return max(accumulate(array("b", outside.translate(_STEPS))), default=0)


def _check_text(value: Any) -> None:
    """Look at every text, without recursion."""
    todo = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo.extend(node)
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, str) and not is_clean(node):
            raise _refused("Text must not hold a NUL character or a lone surrogate.")


def _refused(message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[{"loc": ["body"], "msg": message}])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _refused("A key must not stand twice in one object.")
    return result


def _decimal(text: str) -> Decimal:
    if len(text) <= MAX_NUMBER_LENGTH:
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if value.is_finite() and abs(value.adjusted()) <= MAX_NUMBER_EXPONENT:
            return value
    raise _refused(_TOO_LARGE)


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise _refused(_TOO_LARGE)
    return int(text)


def _constant(text: str) -> Any:
    raise _refused(f"{text} is not a number that can be stored.")


# Its scanner is C and keeps nothing between calls, so one serves every thread.
_DECODER: Any = JSONDecoder(
    object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_constant, strict=True
)
