"""What a call is, and how an HTTP response is judged: an answer, or the error it means. No I/O here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Generic, TypeVar

import httpx

from .answers import Ack, Answer, Page
from .errors import (
    UNEXPECTED,
    ApiError,
    BotHalted,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    RiskRejected,
    ServerError,
    Unauthorized,
)

T = TypeVar("T")

ERRORS_BY_CODE: dict[str, type[ApiError]] = {
    "conflict": Conflict,
    "risk_rejected": RiskRejected,
    "bot_halted": BotHalted,
    "rate_limited": RateLimited,
}
ERRORS_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: RateLimited,
}


class Lane(Enum):
    """What a call does while facts wait in the spool."""

    READ = "asks; takes no notice of them"
    FACT = "queues behind them, and is kept itself when it cannot be delivered"
    COMMAND = "goes only after all of them, and is never kept"
    AID = "lets them go first if they can, and goes in any case"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, complete: sending it again sends the same bytes."""

    method: str
    path: str
    read: Callable[[Answer], T]
    lane: Lane = Lane.READ
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    content_type: str = "application/json"
    # Asks for a new order: sent under a valid permit only. `allowed` is what is left of it without one, None: nothing.
    needs_permit: bool = False
    allowed: Call[T] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A list that is read page by page."""

    first: Call[Page[T]]

    def after(self, page: Page[T]) -> Call[Page[T]] | None:
        """Return the call for the next page, None after the last."""
        if page["next"] is None:
            return None
        return replace(self.first, params={**self.first.params, "cursor": page["next"]})


def read_data(answer: Answer) -> Any:
    """Return the answer as it came."""
    return answer.data


def read_ack(answer: Answer) -> Ack:
    """Return what a write's answer says."""
    flags = list(answer.data.get("flags") or [])
    return Ack(answer.status, answer.replayed, answer.data, flags, answer.spooled)


def read_admission(answer: Answer) -> Ack:
    """Return the admission of an order.

    Raises RiskRejected when the stored order is rejected: the first answer was lost, and this one repeats its outcome.
    """
    stored = answer.data.get("order", answer.data)
    if stored.get("status") == "rejected":
        detail = stored.get("rejection_reason") or "The stored order is rejected."
        raise RiskRejected(answer.status, "risk_rejected", detail, problem=answer.data)
    return read_ack(answer)


def judge(response: httpx.Response) -> Answer | ApiError:
    """Return the answer in a response, or the error it means.

    A 2xx that is not a JSON object, or a redirect, does not come from tradingdb (a captive portal, a proxy's page):
    it acknowledges nothing.
    """
    body = _json_object(response.content)
    if response.is_success and body is not None:
        replayed = response.headers.get("Idempotent-Replay") == "true"
        return Answer(response.status_code, replayed, body, _http_date(response.headers.get("Date", "")))
    if response.status_code < 400:
        detail = f"{response.headers.get('Content-Type', 'No content')} in place of an answer of tradingdb."
        return ServerError(response.status_code, UNEXPECTED, detail)
    return _api_error(response, problem=body or {})


def _json_object(content: bytes) -> dict[str, Any] | None:
    if not content:
        return {}
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _api_error(response: httpx.Response, *, problem: dict[str, Any]) -> ApiError:
    status = response.status_code
    code = str(problem.get("code") or f"http_{status}")
    default = ServerError if status >= 500 else ApiError
    kind = ERRORS_BY_CODE.get(code) or ERRORS_BY_STATUS.get(status, default)
    return kind(
        status,
        code,
        str(problem.get("detail") or problem.get("title") or response.reason_phrase),
        problem.get("errors") or [],
        str(problem.get("request_id") or ""),
        problem,
        _seconds(response.headers.get("Retry-After", "")),
    )


def _seconds(retry_after: str) -> float | None:
    """Return the wait a Retry-After header asks for, in seconds or as a date."""
    if retry_after.isdecimal():
        return float(retry_after)
    moment = _http_date(retry_after)
    return None if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _http_date(text: str) -> datetime | None:
    """Return the moment of an HTTP date, None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
