"""The servers that are compared: python -m bench.live_servers KIND PORT.

ours: the project's sockets under uvicorn, as the supervisor starts them. bare: a Redis subscription and a loop over
`websockets` connections, nothing else. group: a Channels consumer in a group, the way of the textbook.
"""

import os
import sys
from contextlib import suppress
from typing import Any

CHANNEL = "bench-live-bare"
GROUP = "bench-live"


def main(kind: str, port: int) -> None:
    {"ours": ours, "bare": bare, "group": group}[kind](port)


def ours(port: int) -> None:
    import django

    django.setup()
    from tradingdb.routing import websocket_application

    serve(websocket_application, port, "bots.live.protocol:FrameProtocol")


def group(port: int) -> None:
    import django

    django.setup()
    from channels.generic.websocket import AsyncJsonWebsocketConsumer

    class InGroup(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
        groups = [GROUP]

        async def changed(self, event: dict[str, Any]) -> None:
            await self.send_json(event["data"])

    serve(InGroup.as_asgi(), port, "websockets-sansio")


def serve(application: Any, port: int, protocol: str) -> None:
    import uvicorn

    uvicorn.run(application, host="127.0.0.1", port=port, ws=protocol, lifespan="off", log_level="error")


def bare(port: int) -> None:
    import redis.asyncio
    import uvloop
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import serve as serve_bare
    from websockets.exceptions import ConnectionClosed

    clients: set[ServerConnection] = set()

    async def handler(client: ServerConnection) -> None:
        clients.add(client)
        await client.wait_closed()
        clients.discard(client)

    async def run() -> None:
        pubsub = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None).pubsub()
        await pubsub.subscribe(CHANNEL)
        async with serve_bare(handler, "127.0.0.1", port, compression=None, ping_interval=None):
            async for message in pubsub.listen():
                if message["type"] == "message":
                    text = message["data"].decode()
                    for client in list(clients):
                        with suppress(ConnectionClosed):
                            await client.send(text)

    uvloop.run(run())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
