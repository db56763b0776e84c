"""The one Redis subscription of a process: reads the updates, notices when it is cut off, and comes back."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from bots.live import keys
from bots.live.client import subscriber_client
from bots.live.script import LiveUpdate

logger = logging.getLogger(__name__)

# A server that says nothing is asked after this time, and given up when it does not answer in the same time again.
SILENCE_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 2.0


def raise_if_cancelled() -> None:
    """Raise CancelledError in a task that is to end, where an error on its way out hid that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Subscription:
    """Calls `on_updates` for each published batch; `on_connected` and `on_lost` when the connection comes and goes."""

    def __init__(
        self,
        on_updates: Callable[[list[LiveUpdate]], None],
        on_connected: Callable[[], Awaitable[None]],
        on_lost: Callable[[], None],
    ) -> None:
        self._on_updates = on_updates
        self._on_connected = on_connected
        self._on_lost = on_lost

    async def run(self) -> None:
        """Listen for ever; cancelled when the process ends."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with subscriber_client() as client, client.pubsub() as pubsub:
                    await pubsub.subscribe(keys.channel())
                    await self._await_word(pubsub)
                    await self._on_connected()
                    pause = FIRST_PAUSE_SECONDS
                    await self._listen(pubsub)
            except (RedisError, OSError) as e:
                raise_if_cancelled()
                logger.warning("The live subscription is interrupted: %s", e)
            self._on_lost()
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)

    async def _listen(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
            if message is None:
                await pubsub.ping()
                message = await self._await_word(pubsub)
            if message["type"] == "message":
                self._read(message["data"])

    async def _await_word(self, pubsub: PubSub) -> dict[str, Any]:
        """Return the next message of any kind: a living server has one when it was asked."""
        message: dict[str, Any] | None = await pubsub.get_message(timeout=SILENCE_SECONDS)
        if message is None:
            raise ConnectionError("Redis does not answer.")
        return message

    def _read(self, data: bytes) -> None:
        try:
            updates = json.loads(data)
        except ValueError:
            logger.warning("A message on the live channel is not ours; it is left out.")
            return
        self._on_updates(updates)
