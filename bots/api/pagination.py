"""Pages by key: an opaque cursor names the last row that was read, so the last page costs what the first does."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from django.http import HttpRequest
from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, model_validator

from bots.selectors.lists import Listing, Moment
from tradingdb.lib.schema import StrictModel, failure_of, wrong
from tradingdb.lib.strictjson import is_clean

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_ID = 2**63 - 1


def _digits(least: int, most: int) -> Any:
    """Return the type of a whole number in an address: plain digits."""

    def read(value: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if not isinstance(value, int) or not least <= value <= most:
            raise wrong("digits", f"must be a whole number from {least} to {most}")
        return value

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Annotated[int, PlainValidator(read), WithJsonSchema(schema)]


def limit_up_to(most: int) -> Any:
    """Return the type of a `limit` parameter."""
    return _digits(1, most)


Id = _digits(0, MAX_ID)


class QueryModel(StrictModel):
    """Parameters of a query: each stands once, and none that the call does not know."""

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, data: Any, info: ValidationInfo) -> Any:
        request = (info.context or {}).get("request")
        if isinstance(request, HttpRequest):
            for name, values in request.GET.lists():
                if name not in cls.model_fields:
                    raise wrong("unknown_parameter", f"this call does not know the parameter {name[:40]!r}")
                if len(values) != 1 or not is_clean(values[0]):
                    raise wrong("parameter", f"{name} stands twice or holds a NUL character")
        return data


class PageQuery(QueryModel):
    """Where a page begins and how long it is."""

    limit: limit_up_to(MAX_LIMIT) = Field(default=DEFAULT_LIMIT, description="Rows of one page.")  # type: ignore[valid-type]
    cursor: str | None = Field(
        default=None, max_length=400, pattern=r"^[A-Za-z0-9_-]+$", description="`next` of the page before."
    )


def page_of(listing: Listing, given: Mapping[str, Any], query: PageQuery) -> dict[str, Any]:
    """Return one page of a list in its wire form, with the cursor of the next one."""
    after = _decode(query.cursor) if query.cursor is not None else None
    rows = listing.page(given, limit=query.limit + 1, after=after)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    return {
        "items": [listing.shape(row) for row in rows],
        "next": _encode(rows[-1][listing.time], rows[-1]["id"]) if more else None,
    }


def _encode(time: Moment, key: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([time.isoformat(), key]).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[Moment, int]:
    """Return the key in a cursor; whatever else the text is, the answer is 422."""
    try:
        text, key = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
        time = date.fromisoformat(text) if len(text) == len("2026-11-20") else datetime.fromisoformat(text)
        if type(key) is not int or not 0 <= key <= MAX_ID or (isinstance(time, datetime) and time.utcoffset() is None):
            raise ValueError("not a key of ours")
    except (ValueError, TypeError, RecursionError, binascii.Error) as e:
        raise failure_of([(("query", "cursor"), "is not a cursor of this list")]) from e
    return time, key
