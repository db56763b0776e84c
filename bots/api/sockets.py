"""The sockets: who may open one, and handing it to the hub. They only ever read."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError
from django.utils import timezone

from bots.live import messages
from bots.live.bot_desk import Listener
from bots.live.hub import Watcher, hub
from bots.live.view import Filter
from bots.live.viewers import session_key_of, viewer_of
from bots.services.tokens import token_authenticate
from tradingdb.lib.errors import NotAuthenticated

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

MOST_BYTES = 4096
POLICY_VIOLATION, TOO_BIG, TRY_AGAIN_LATER = 1008, 1009, 1013


async def asked(question: Callable[..., Answer], *args: Any, **kwargs: Any) -> Answer:
    """Return the database's answer about who is at the door; while it is away nobody comes in."""
    try:
        answer: Answer = await database_sync_to_async(question)(*args, **kwargs)
    except DatabaseError as e:
        logger.warning("A socket is refused, since PostgreSQL does not answer: %s", e)
        raise DenyConnection from e
    return answer


class Socket(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """A socket without channel layer: the hub of its process sends to it directly."""

    channel_layer_alias = None

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take one small JSON object; anything else ends the connection."""
        if text_data is None or len(text_data) > MOST_BYTES:
            await self.close(code=TOO_BIG if text_data else POLICY_VIOLATION)
            return
        message = messages.parse(text_data)
        if message is None:
            await self.close(code=POLICY_VIOLATION)
        else:
            await self.heard(message)

    async def heard(self, message: dict[str, Any]) -> None:
        """Act on what the other side sent; unknown types are left alone, for clients newer than this server."""


class LiveSocket(Socket):
    """/ws/live/: the control room of a signed-in person, narrowed by ?bot= and ?symbol=."""

    watcher: Watcher | None = None

    async def connect(self) -> None:
        """Accept a session that may watch, and send the snapshot. The Origin was checked before."""
        viewer = await asked(viewer_of, session_key_of(self.scope["headers"]))
        if viewer is None:
            raise DenyConnection
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        wanted = Filter(bot_id=query.get("bot", [None])[-1], symbol=query.get("symbol", [None])[-1], bots=viewer.bots)
        await self.accept()
        try:
            self.watcher = await hub().join(self.base_send, viewer, wanted)
        except TimeoutError:
            await self.close(code=TRY_AGAIN_LATER)

    async def heard(self, message: dict[str, Any]) -> None:
        """Send a snapshot to a browser that missed something."""
        if message.get("type") == "resync" and self.watcher is not None:
            hub().resync(self.watcher)

    async def disconnect(self, code: int) -> None:
        """Leave the hub."""
        if self.watcher is not None:
            hub().leave(self.watcher)


class BotSocket(Socket):
    """/ws/bots/{bot_id}/: halts, configuration and status for one bot, so that a kill reaches it at once."""

    listener: Listener | None = None

    async def connect(self) -> None:
        """Accept a good token of this very bot. A foreign bot, an unknown one and a bad token are refused alike."""
        headers = dict(self.scope["headers"])
        scheme, _, raw = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        try:
            token = await asked(token_authenticate, raw.strip(), now=timezone.now())
        except NotAuthenticated as e:
            raise DenyConnection from e
        bot_id = self.scope["url_route"]["kwargs"]["bot_id"]
        if scheme.lower() != "bearer" or token.bot_id != bot_id:
            raise DenyConnection
        await self.accept()
        self.listener = await hub().join_bot(self.base_send, bot_id=bot_id, prefix=token.prefix)

    async def disconnect(self, code: int) -> None:
        """Leave the hub."""
        if self.listener is not None:
            hub().desk.leave(self.listener)
