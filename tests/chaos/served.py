"""The real application on a real socket, inside the test's process and on the test's database."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from django.core.asgi import get_asgi_application
from django.db import connection

from bots.api.lane import App, Lane
from tradingdb.services.processes import wait_until


class _Site:
    """The bots' lane before Django, as in `tradingdb.asgi`; the lane's connections end with the server."""

    def __init__(self) -> None:
        self.lane = Lane(cast(App, get_asgi_application()))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.lane(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.lane.close()
        await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def served() -> Iterator[int]:
    """Serve the API for as long as the block runs; gives the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(_Site(), ws="none", lifespan="on", log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert wait_until(lambda: server.started, 30)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query on the test's database."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cast(list[tuple[Any, ...]], cursor.fetchall())
