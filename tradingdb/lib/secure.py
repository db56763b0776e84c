"""No door without TLS, where the settings ask for it."""

import json

from django.conf import settings

from tradingdb.lib.door import App, Receive, Scope, Send
from tradingdb.lib.errors import DomainError
from tradingdb.lib.http import PROBLEM_TYPE, headers_of_data, new_request_id, problem_of

# Answered to whatever asks from within: probes of the machine itself.
WITHIN = ("/health/", "/metrics")
API = "/api/"


class HttpsRequired(DomainError):
    """The call came without TLS. It is not redirected: its token has been on the wire, and the caller must notice."""

    code = "https_required"
    http_status = 403


class HttpsOnly:
    """Wraps the application: refuses calls of the API and sockets without TLS. Pages are redirected by Django.

    The scheme is what the server heard: uvicorn takes X-Forwarded-Proto from FORWARDED_ALLOW_IPS alone.
    """

    def __init__(self, inner: App) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not settings.SECURE_SSL_REDIRECT or scope["type"] == "lifespan" or scope.get("scheme") in ("https", "wss"):
            await self.inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"].startswith(API):
            await refuse(send)
        else:
            await self.inner(scope, receive, send)


async def refuse(send: Send) -> None:
    """Answer 403 in the API's form."""
    status, _, body = problem_of(HttpsRequired("Call over https; revoke the token you just sent."), new_request_id())
    content = json.dumps(body).encode()
    kind = [(b"content-type", PROBLEM_TYPE.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *headers_of_data()]})
    await send({"type": "http.response.body", "body": content})
