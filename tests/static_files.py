"""Static files in tests: by the real middleware in the ASGI application, by nobody in Django's sync test client.

The middleware is async only. Under the sync client each request would go through three threads to get past it, which
is a third of what a request takes there, and nothing that runs in earnest does so.
"""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from django.utils.decorators import sync_and_async_middleware
from servestatic.middleware import ServeStaticMiddleware


@sync_and_async_middleware
def static_files(get_response: Callable[..., Any]) -> Callable[..., Any]:
    return ServeStaticMiddleware(get_response) if iscoroutinefunction(get_response) else get_response
