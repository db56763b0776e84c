"""What every HTTP answer shares: the request id, and the problem+json shape of RFC 9457."""

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import cache, partial
from http import HTTPStatus
from typing import Any, TypedDict

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from tradingdb.lib.acting import acting
from tradingdb.lib.errors import DomainError, RateLimited, RiskRejected, Unavailable, ValidationFailed

PROBLEM_TYPE = "application/problem+json"
REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_current: ContextVar[str] = ContextVar("request_id", default="")


class Problem(TypedDict, total=False):
    """The body of every error: RFC 9457 plus a stable code, the request id and the places that are wrong."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[dict[str, object]]
    reasons: list[dict[str, object]]


def new_request_id(given: str | None = None) -> str:
    """Return the caller's request id where it is sane, else a new one; it is the current one from now on."""
    request_id = given if given and REQUEST_ID.match(given) else uuid.uuid4().hex
    _current.set(request_id)
    return request_id


def current_request_id() -> str:
    """Return the id of the request that is being answered; empty in scripts and tasks."""
    return _current.get()


def problem(
    *, status: int, code: str, detail: str, request_id: str, errors: list[dict[str, object]] | None = None, **extra: Any
) -> Problem:
    """Build the body of an error."""
    body: Problem = {
        "type": f"/docs/problems#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        "errors": errors or [],
    }
    body.update(extra)  # type: ignore[typeddict-item]
    return body


def problem_of(error: DomainError, request_id: str) -> tuple[int, Mapping[str, str], Problem]:
    """Turn a domain error into status, extra headers and body."""
    extra: dict[str, Any] = {}
    headers: dict[str, str] = {}
    errors = error.errors if isinstance(error, ValidationFailed) else None
    if isinstance(error, RiskRejected):
        extra["reasons"] = error.detail.get("reasons", [])
        if "order" in error.detail:
            extra["order"] = error.detail["order"]
        if error.detail.get("is_replay"):
            headers["Idempotent-Replay"] = "true"
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    body = problem(
        status=error.http_status, code=error.code, detail=error.message, request_id=request_id, errors=errors, **extra
    )
    return error.http_status, headers, body


@cache
def headers_of_data() -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of an answer that is data: never guessed at, framed, run or kept."""
    found = [
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"referrer-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
    ]
    if settings.SECURE_HSTS_SECONDS:
        found.append((b"strict-transport-security", hsts().encode()))
    return tuple(found)


def hsts() -> str:
    """Return the value of Strict-Transport-Security, as Django's middleware writes it."""
    parts = [f"max-age={settings.SECURE_HSTS_SECONDS}"]
    if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS:
        parts.append("includeSubDomains")
    if settings.SECURE_HSTS_PRELOAD:
        parts.append("preload")
    return "; ".join(parts)


def caller(request: HttpRequest) -> str:
    """Return who is known to have sent a request, as far as anybody has asked yet; a person by the e-mail address.

    Asks the database nothing: it is called in the middle of a write.
    """
    staff = getattr(request, "auth", None)
    user = getattr(staff, "user", None)
    for name in ("_cached_user", "_acached_user"):
        user = user or getattr(request, name, None)
    if user is not None and user.is_authenticated:
        return str(user)
    bot_id = getattr(staff, "bot_id", "")
    return f"bot:{bot_id}" if bot_id else ""


class RequestIdMiddleware:
    """Give every request an id, answer with it, so that log line, answer and audit trail can be matched."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        request.request_id = new_request_id(request.headers.get("X-Request-ID"))  # type: ignore[attr-defined]
        if self.is_async:
            return self._call_async(request)
        with acting(actor=partial(caller, request), request_id=request.request_id):  # type: ignore[attr-defined]
            return self._stamp(request, self.get_response(request))

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        with acting(actor=partial(caller, request), request_id=request.request_id):  # type: ignore[attr-defined]
            return self._stamp(request, await self.get_response(request))

    def _stamp(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        # Nothing of ours is for a cache but static files, which do not come by here.
        response.headers.setdefault("Cache-Control", "no-store")
        return response
