"""uvicorn's WebSocket protocol with a shortcut for frames that were built once for many sockets.

Started with `uvicorn --ws bots.live.protocol:FrameProtocol`. Every other server works as well and is only slower: it
finds the text in the same event and frames it for each socket anew.
"""

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State


def text_frame(text: str) -> bytes:
    """Return the frame of a text message as a server sends it; without compression, which every client accepts."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


class FrameProtocol(WebSocketsSansIOProtocol):
    """Writes the `frame` of a websocket.send event as it is, where there is one."""

    async def send(self, message: Any) -> None:
        """Send an ASGI event; waits, as its parent does, while the client takes nothing."""
        frame = message.get("frame")
        if frame is None or self.conn.state is not State.OPEN:
            await super().send(message)
            return
        if not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.write(frame)
