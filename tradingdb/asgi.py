"""The ASGI application: sockets, the bots' hot calls, and Django for everything else."""

import asyncio
import os
from typing import Any, cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdb.settings.dev")
django_application = get_asgi_application()

# Imported after Django is set up: they load models.
from audit.background import WebBackground  # noqa: E402
from bots.api.lane import Lane  # noqa: E402
from config_app.services.field_keys import KeysUnfit, field_keys_require  # noqa: E402
from tradingdb.lib.door import App, Door, Receive, Scope, Send  # noqa: E402
from tradingdb.lib.secure import HttpsOnly  # noqa: E402
from tradingdb.lib.strictjson import BULK_LIMIT  # noqa: E402
from tradingdb.routing import websocket_application  # noqa: E402
from tradingdb.services.processes import stand_by  # noqa: E402

# The largest body a call takes, and room for the largest form of the admin.
LARGEST_BODY = 4 * BULK_LIMIT


class Application:
    """Sends each connection to the part that answers it, and opens and closes what a process holds."""

    def __init__(self) -> None:
        self.lane = Lane(Door(cast(App, django_application)))
        self.background = WebBackground()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await websocket_application(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self.lane(scope, bounded(receive), send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message: Any = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await asyncio.to_thread(field_keys_require)
                except KeysUnfit as e:
                    await send({"type": "lifespan.startup.failed", "message": str(e)})
                    return
                await self.lane.shell()
                self.background.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.lane.close()
                await asyncio.to_thread(self.background.close)
                await send({"type": "lifespan.shutdown.complete"})
                return


def bounded(receive: Receive) -> Receive:
    """Hang up on a body larger than any call takes, before Django writes it to disk."""
    received = 0

    async def bounded_receive() -> Any:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return message if received <= LARGEST_BODY else {"type": "http.disconnect"}

    return bounded_receive


application = HttpsOnly(Application())
stand_by()
