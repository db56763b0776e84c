"""The door before Django: no more requests at work than it has connections, and none while its body is on the way."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from csp.utils import build_policy
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse

from tradingdb.lib.error_pages import too_busy
from tradingdb.lib.errors import DomainError, Unavailable
from tradingdb.lib.gate import SITE, Bucket, Gate
from tradingdb.lib.http import PROBLEM_TYPE, headers_of_data, new_request_id, problem_of

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Files and figures that need no connection, and health, which has to answer most of all when nobody else does.
FREE = ("/static/", "/health/", "/metrics", "/docs/", "/favicon.ico")
# For the live view, sockets and health.
KEPT_CONNECTIONS = 2
# The largest upload over a slow line, and how long a browser may take nothing of its answer.
BODY_SECONDS = 120.0
SEND_SECONDS = 60.0


class BodyTimeout(DomainError):
    """The body did not arrive in time."""

    code = "request_timeout"
    http_status = 408


class Door:
    """Wraps Django's application; one per process."""

    def __init__(self, inner: App) -> None:
        self.inner = inner
        self.gate = Gate("site", max(1, settings.DB_POOL_SIZE - KEPT_CONNECTIONS), SITE)
        self.gate.pool_stats = pool_stats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(FREE):
            await self.inner(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        is_whole = has_begun = False
        async with AsyncExitStack() as place:

            async def receive_whole() -> Mapping[str, Any]:
                """Hand on the body; with its last piece the request takes its place."""
                nonlocal is_whole
                if is_whole:
                    return await receive()
                try:
                    async with asyncio.timeout_at(deadline):
                        message = await receive()
                except TimeoutError as e:
                    raise BodyTimeout("The body did not arrive in time.") from e
                if not message.get("more_body"):
                    is_whole = True
                    await place.enter_async_context(self.gate.enter(bucket_of(scope)))
                return message

            async def send_bounded(message: Mapping[str, Any]) -> None:
                nonlocal has_begun
                has_begun = True
                async with asyncio.timeout(SEND_SECONDS):
                    await send(message)

            try:
                await self.inner(scope, receive_whole, send_bounded)
            except (Unavailable, BodyTimeout) as e:
                if has_begun:
                    raise
                await refuse(scope, e, send)


def bucket_of(scope: Scope) -> Bucket:
    """Return how important a request is: what changes something (a fact, a halt) goes before what only looks."""
    return "reads" if scope["method"] in ("GET", "HEAD", "OPTIONS") else "facts"


async def refuse(scope: Scope, error: DomainError, send: Send) -> None:
    """Answer a request that did not get in: programs with a problem, people with a page."""
    status, headers, body = problem_of(error, request_id := new_request_id())
    if scope["path"].startswith("/api/") or not isinstance(error, Unavailable):
        answer = HttpResponse(json.dumps(body), status=status, content_type=PROBLEM_TYPE)
    else:
        request = HttpRequest()
        request.path, request.request_id = scope["path"], request_id  # type: ignore[attr-defined]
        answer = too_busy(request)
        answer["Content-Security-Policy"] = build_policy()
    for name, value in {**headers, "X-Request-ID": request_id, "Content-Length": str(len(answer.content))}.items():
        answer[name] = value
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.items()]
    # A page brings its own style, which the policy of data would stop.
    pairs += [pair for pair in headers_of_data() if answer["Content-Type"] == PROBLEM_TYPE or b"policy" not in pair[0]]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": answer.content})


def pool_stats() -> Mapping[str, int]:
    """Return the counters of Django's pool; none where it has no pool."""
    pool: Any = connections["default"].pool  # type: ignore[attr-defined]
    return {} if pool is None else dict(pool.get_stats())
