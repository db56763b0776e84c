"""What the views answer with: JSON as it stands on the wire, and the errors each call can give."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from django.http import HttpResponse
from pydantic import BaseModel, Field, WithJsonSchema

REPLAY_HEADER = "Idempotent-Replay"

DecimalOut = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,18})?$"})]
TimeOut = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
DateOut = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]


class Place(BaseModel):
    """One place that is wrong, and what is wrong with it."""

    loc: list[str | int]
    msg: str


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable; `request_id` also stands in our log."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[Place] = Field(default_factory=list)


def errors(*more: int) -> dict[int, Any]:
    """Return the errors that every call can give, and these besides, for `response=`."""
    return dict.fromkeys((400, 401, 403, 405, 422, 429, 500, 503, *more), Problem)


def answer(body: Any, *, status: int = 200, replayed: bool = False) -> HttpResponse:
    """Answer with a body that is in its wire form already."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return json_text(content, status=status, headers={REPLAY_HEADER: "true"} if replayed else {})


def json_text(content: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Answer with JSON text."""
    return HttpResponse(content, status=status, content_type="application/json", headers=dict(headers or {}))
