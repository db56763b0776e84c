"""The HTTP API: every app's routers under /api/v1, one parser for all bodies, one shape for all errors."""

import json
import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from inspect import iscoroutinefunction
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import URLPattern, path, re_path
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.docs import DocsBase
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from analytics.api import metrics, portfolio
from bots.api import audit, candles, cases, control, hot, invariants, live, positions, reads, registry, trades
from bots.api.routers import bots as bot_calls
from bots.api.routers import staff as staff_calls
from tradingdb.lib.errors import (
    BodyTooLarge,
    DomainError,
    MalformedBody,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    ValidationFailed,
)
from tradingdb.lib.http import PROBLEM_TYPE, new_request_id, problem, problem_of
from tradingdb.lib.retry import unavailable_of
from tradingdb.lib.schema import failure_of
from tradingdb.lib.strictjson import BULK_LIMIT, DEFAULT_LIMIT, check_content_type, parse

logger = logging.getLogger(__name__)

VERSION = "1.0.0"
DESCRIPTION = (
    "What bots report and what staff see and change. Decimals travel as text, times as RFC 3339 with an offset. "
    "Every write carries an id chosen by its sender: the same id with the same content is answered as a replay "
    "(200, Idempotent-Replay: true), with other content as a conflict (409)."
)
# Calls that take bodies of up to 16 MiB.
BULK_PATHS = ("/candles", "/batch", "/events")
REFUSED = {
    400: MalformedBody,
    401: NotAuthenticated,
    403: PermissionDenied,
    404: NotFound,
    413: BodyTooLarge,
    422: ValidationFailed,
}


class StrictParser(Parser):
    """Reads bodies with the strict parser: content type, size, UTF-8, numbers as they are."""

    def parse_body(self, request: HttpRequest) -> Any:
        check_content_type(request.headers.get("Content-Type"))
        limit = BULK_LIMIT if request.path.endswith(BULK_PATHS) else DEFAULT_LIMIT
        return parse(request.body, limit=limit)


class DocsPage(DocsBase):
    """The browsable page: our own, since ninja's asks for scripts from elsewhere."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        return render(request, "api/docs.html", {"api": api, "openapi_url": self.get_openapi_url(api, kwargs)})


class TradingApi(NinjaAPI):
    """Ninja's API, with errors described as what they are: application/problem+json."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**options)
        for calls in schema["paths"].values():
            for call in calls.values():
                for status, response in call["responses"].items():
                    content = response.get("content", {})
                    if int(status) >= HTTPStatus.BAD_REQUEST and "application/json" in content:
                        response["content"] = {PROBLEM_TYPE: content["application/json"]}
        return schema


api = TradingApi(
    title="tradingdb",
    version=VERSION,
    description=DESCRIPTION,
    parser=StrictParser(),
    docs=DocsPage(),
)
# Each module puts its calls on one of the two routers when it is imported.
PARTS = (
    audit, candles, cases, control, hot, invariants, live, positions, reads, registry, trades, metrics, portfolio
)  # fmt: skip
api.add_router("", bot_calls)
api.add_router("", staff_calls)


# --- errors


def _request_id(request: HttpRequest) -> str:
    found: str = getattr(request, "request_id", None) or new_request_id()
    return found


def refuse(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Answer with the problem that a domain error means."""
    status, headers, body = problem_of(error, _request_id(request))
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {**headers, "WWW-Authenticate": 'Bearer realm="tradingdb"'}
    return HttpResponse(json.dumps(body), status=status, content_type=PROBLEM_TYPE, headers=dict(headers))


@api.exception_handler(DomainError)
def on_domain_error(request: HttpRequest, error: DomainError) -> HttpResponse:
    return refuse(request, error)


@api.exception_handler(ValidationError)
def on_validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    # Ninja does not ask the parser about a body without a single byte.
    if not request.body and any(place["loc"] == ("body", "body") for place in error.errors):
        return refuse(request, MalformedBody("The body is empty."))
    return refuse(request, failure_of([(_place(place["loc"]), place["msg"]) for place in error.errors]))


def _place(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return source and field; ninja puts the name of the view's argument between them."""
    return (loc[0], *loc[2:]) if len(loc) > 1 and loc[1] == loc[0] else loc


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    # Ninja hides what the parser raised behind a 400 of its own.
    if isinstance(error.__cause__, DomainError):
        return refuse(request, error.__cause__)
    kind = REFUSED.get(error.status_code, MalformedBody)
    return refuse(request, kind("The credentials are missing." if kind is NotAuthenticated else str(error)))


@api.exception_handler(Http404)
def on_not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return refuse(request, NotFound("There is nothing at this address."))


@api.exception_handler(RequestDataTooBig)
def on_too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return refuse(request, BodyTooLarge(f"The body is larger than {BULK_LIMIT} bytes."))


@api.exception_handler(DataError)
def on_data_error(request: HttpRequest, error: DataError) -> HttpResponse:
    """A value that the checks let through and the database cannot hold: the sender's, but ours to look at."""
    logger.warning(
        "A value did not fit the database, request %s: %s", _request_id(request), type(error.__cause__).__name__
    )
    return refuse(request, ValidationFailed("A value does not fit what the ledger can hold."))


@api.exception_handler(Exception)
def on_anything_else(request: HttpRequest, error: Exception) -> HttpResponse:
    """PostgreSQL is away, busy or full, and the same call may be sent again; or a fault of ours.

    The last guard of this door: the traceback goes to the log, never to the caller.
    """
    request_id = _request_id(request)
    if (answer := unavailable_of(error)) is not None:
        logger.error("PostgreSQL did not answer, request %s: %s", request_id, error)
        return refuse(request, answer)
    logger.error("%s %s failed, request %s", request.method, request.path, request_id, exc_info=error)
    body = problem(
        status=500,
        code="internal_error",
        detail="Something went wrong here; the request id is in our log.",
        request_id=request_id,
    )
    return HttpResponse(json.dumps(body), status=500, content_type=PROBLEM_TYPE)


# --- addresses


def _not_allowed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Say "wrong method" as a problem, as every other error is said."""
    if not isinstance(response, HttpResponseNotAllowed):
        return response
    body = problem(
        status=405,
        code="method_not_allowed",
        detail=f"This address takes {response['Allow']}.",
        request_id=_request_id(request),
    )
    headers = {"Allow": response["Allow"]}
    return HttpResponse(json.dumps(body), status=405, content_type=PROBLEM_TYPE, headers=headers)


def _told(view: Callable[..., Any]) -> Callable[..., Any]:
    if iscoroutinefunction(view):

        @wraps(view)
        async def async_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return _not_allowed(request, await view(request, *args, **kwargs))

        return async_view

    @wraps(view)
    def sync_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _not_allowed(request, view(request, *args, **kwargs))

    return sync_view


def unknown(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """Answer at every address below /api/v1 that is none of ours."""
    return refuse(request, NotFound("There is nothing at this address."))


unknown.csrf_exempt = True  # type: ignore[attr-defined]


def _addresses() -> list[URLPattern]:
    patterns = [pattern for pattern in api.urls[0] if isinstance(pattern, URLPattern)]
    for pattern in patterns:
        # Ninja's root page only names the root; it answers with Django's own error page.
        pattern.callback = unknown if pattern.name == "api-root" else _told(pattern.callback)
    return patterns


# For `path("api/v1/", include("tradingdb.api"))`.
urlpatterns = [path("", (_addresses(), *api.urls[1:])), re_path(r"", unknown)]
