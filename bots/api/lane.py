"""The lane: an ASGI handler for the bots' hot calls, answered before Django's middleware.

It does what the Django views of the same calls do, with the same table, models and plans; only the shell differs.
Everything it does not know goes on to Django.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from prometheus_client import Counter
from pydantic import TypeAdapter, ValidationError

from bots.api.operations import CALLS, Call
from bots.live import ratelimit
from bots.services.plan import Outcome
from bots.services.shell import Key, KeyChanged, Shell
from tradingdb.lib import telemetry
from tradingdb.lib.door import App, BodyTimeout, Receive, Scope, Send
from tradingdb.lib.errors import BodyTooLarge, DomainError, RateLimited, Unavailable
from tradingdb.lib.http import PROBLEM_TYPE, headers_of_data, new_request_id, problem, problem_of
from tradingdb.lib.schema import Ident, failure, validated
from tradingdb.lib.strictjson import check_content_type, check_size, parse
from tradingdb.lib.tokens import bearer, check_token, is_bot_token
from tradingdb.lib.tokens import parse as parse_token

logger = logging.getLogger(__name__)

BASE = "/api/v1"
ORDER = f"{BASE}/orders/"
ORDER_CALL = next(call for call in CALLS if call.path == "/orders/{order_id}")
ROUTES = {(call.method, BASE + call.path): call for call in CALLS if call is not ORDER_CALL}
IDENT: TypeAdapter[str] = TypeAdapter(Ident)
BODY_SECONDS = 10.0
CACHED_KEYS = 10_000
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class _Counters(dict[tuple[str, int], Counter]):
    """The counter of each call and status, made when first used: finding it by labels costs more than counting."""

    def __missing__(self, key: tuple[str, int]) -> Counter:
        path, status = key
        self[key] = counter = telemetry.CALLS.labels(path, str(status))
        return counter


CALLS_COUNT = _Counters()
CALL_SECONDS = {call.path: telemetry.SECONDS.labels(call.path) for call in CALLS}


class Disconnected(Exception):
    """The bot closed the connection before its request was whole."""


class Lane:
    """Wraps the rest of the site; one per process."""

    def __init__(self, inner: App) -> None:
        self.inner = inner
        self._shell: Shell | None = None
        self._keys: dict[str, Key] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # No hot call takes parameters: Django's views say what is wrong with them.
        if scope["type"] == "http" and not scope["query_string"]:
            call, order_id = route(scope["method"], scope["path"], scope.get("raw_path") or b"")
            if call is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
                raw = bearer(headers.get("authorization"))
                # Staff and strangers hear their answer from Django.
                if raw is not None and is_bot_token(raw):
                    await self._handle(call, order_id, raw, headers, receive, send)
                    return
        await self.inner(scope, receive, send)

    async def shell(self) -> Shell:
        """Return the shell, opened by the first call of this process."""
        if self._shell is None:
            self._shell = Shell(size=settings.LANE_POOL_SIZE)
            await self._shell.open()
        return self._shell

    async def close(self) -> None:
        """Let go of the pool, after everything committed was published."""
        if self._shell is not None:
            shell, self._shell = self._shell, None
            await shell.close()

    async def _handle(
        self, call: Call, order_id: str, raw: str, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        began = time.perf_counter()
        request_id = new_request_id(headers.get("x-request-id"))
        extra: dict[str, str] = {}
        try:
            outcome = await self._answer(call, order_id, raw, headers, receive, request_id)
            status, body, kind = outcome.status, outcome.body, "application/json"
            if outcome.replayed:
                extra["Idempotent-Replay"] = "true"
            if outcome.error is not None:
                status, more, refused = problem_of(outcome.error, request_id)
                body, kind = dict(refused), PROBLEM_TYPE
                extra |= more
        except Disconnected:
            return
        except DomainError as e:
            status, more, refused = problem_of(e, request_id)
            body, kind = dict(refused), PROBLEM_TYPE
            extra |= more
        except Exception:  # the last guard of this door: the traceback goes to the log, never to the bot
            logger.exception("%s %s failed, request %s", call.method, call.path, request_id)
            status, kind = 500, PROBLEM_TYPE
            detail = "Something went wrong here; the request id is in our log."
            body = dict(problem(status=500, code="internal_error", detail=detail, request_id=request_id))
        await respond(send, status, body, kind, extra | {"X-Request-ID": request_id})
        if status in (401, 403):
            logger.info("%s %s of a token refused with %d, request %s", call.method, call.path, status, request_id)
        CALLS_COUNT[call.path, status].inc()
        CALL_SECONDS[call.path].observe(time.perf_counter() - began)

    async def _answer(
        self, call: Call, order_id: str, raw: str, headers: Mapping[str, str], receive: Receive, request_id: str
    ) -> Outcome:
        shell = await self.shell()
        parsed = parse_token(raw)
        prefix = parsed.prefix if parsed else ""
        body: Any = None
        for _ in range(3):
            key = self._keys.get(prefix) or await shell.read_key(prefix)
            context = check_token(raw, key.token if key else None, datetime.now(UTC))
            assert key is not None
            self._remember(prefix, key)
            context.require(call.scope)
            if body is None:
                if call is ORDER_CALL:
                    check_order_id(order_id)
                body = await read_input(call, headers, receive)
                wait = await ratelimit.await_ms(context.bot_id, call.bucket(body))
                if wait:
                    raise RateLimited("Too many calls in a minute.", retry_after=-(-wait // 1000))
            try:
                outcome = await shell.run(key, call.plan(body, order_id), call.bucket(body), request_id=request_id)
            except KeyChanged:
                del self._keys[prefix]
                continue
            shell.note_use(prefix)
            return outcome
        raise Unavailable("The bot is being edited; send the same call again.")

    def _remember(self, prefix: str, key: Key) -> None:
        if len(self._keys) >= CACHED_KEYS:
            self._keys.clear()
        self._keys[prefix] = key


def route(method: str, path: str, raw_path: bytes = b"") -> tuple[Call | None, str]:
    """Return the hot call of a request and the order id in its path; None for everybody else's.

    An id may hold a slash that was sent as %2F; one that was sent as it is leads elsewhere.
    """
    call = ROUTES.get((method, path))
    if call is None and method == "PATCH" and path.startswith(ORDER) and len(path) > len(ORDER):
        if raw_path.count(b"/") > ORDER.count("/"):
            return None, ""
        return ORDER_CALL, path[len(ORDER) :]
    return call, ""


def check_order_id(order_id: str) -> None:
    """Raise ValidationFailed for an order id in the path that no order can have."""
    try:
        IDENT.validate_python(order_id)
    except ValidationError as e:
        raise failure(e, loc=("path", "order_id")) from e


async def read_input(call: Call, headers: Mapping[str, str], receive: Receive) -> Any:
    """Read, parse and validate the body of a call. Raises the 4xx that fits what is wrong with it."""
    if call.method == "GET":
        return call.model()
    check_content_type(headers.get("content-type"))
    length = headers.get("content-length", "")
    if length.isdigit():
        check_size(int(length), call.limit)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await read_body(receive, call.limit)
    except TimeoutError as e:
        raise BodyTimeout("The body did not arrive in time.") from e
    return validated(call.model, parse(raw, limit=call.limit))


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read a body of at most `limit` bytes."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)
    return b"".join(chunks)


async def respond(send: Send, status: int, body: Mapping[str, Any], kind: str, headers: Mapping[str, str]) -> None:
    """Send one JSON answer."""
    content = ENCODER.encode(body).encode()
    pairs = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode()), *headers_of_data()]
    pairs += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})
