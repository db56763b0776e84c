"""Many WebSocket clients in one small process, reading with epoll: python -m bench.live_clients '{"port": …}'.

Prints "ready" when all are connected, reads until every client got as many stamped messages as were ordered or the
time is over, and prints the latencies as JSON. A stamp is the publisher's monotonic clock in nanoseconds. Like every
browser the clients offer compression; whether it is used is the server's choice.
"""

import json
import select
import socket
import sys
import time
import zlib
from typing import TypedDict

HANDSHAKES_AT_ONCE = 50
READ_BYTES = 1 << 20
# Bit of a frame's first byte.
COMPRESSED = 0x40


class Order(TypedDict):
    """What to read: `expected` stamps a client, each behind the text `marker` in a message that begins with `begin`.

    A message may carry several; snapshots, which repeat old ones, begin otherwise. `stalled` more clients connect and
    never read.
    """

    port: int
    path: str
    cookie: str
    clients: int
    stalled: int
    expected: int
    begin: str
    marker: str
    seconds: float


def main(order: Order) -> None:
    readers = connect(order, order["clients"])
    stalled = connect(order, order["stalled"], receive_bytes=4096)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    latencies = read(order, {reader.fileno(): reader for reader in readers})
    for one in stalled:
        one.close()
    sys.stdout.write(json.dumps({"latencies": latencies}) + "\n")


def connect(order: Order, count: int, *, receive_bytes: int = 0) -> list[socket.socket]:
    """Open sockets, some at a time, and read each handshake."""
    request = (
        f"GET {order['path']} HTTP/1.1\r\nHost: 127.0.0.1:{order['port']}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        f"Origin: http://127.0.0.1\r\nCookie: {order['cookie']}\r\n\r\n"
    ).encode()
    opened: list[socket.socket] = []
    while len(opened) < count:
        opening = [_open(order["port"], receive_bytes) for _ in range(min(HANDSHAKES_AT_ONCE, count - len(opened)))]
        for connection in opening:
            connection.sendall(request)
        for connection in opening:
            _read_handshake(connection)
            connection.setblocking(False)
        opened += opening
    return opened


def _open(port: int, receive_bytes: int) -> socket.socket:
    connection = socket.socket()
    if receive_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.connect(("127.0.0.1", port))
    return connection


def _read_handshake(connection: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # Byte by byte: the first message may follow in the same packet.
        head += connection.recv(1)
    if not head.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"refused: {head[:40]!r}")


def read(order: Order, readers: dict[int, socket.socket]) -> list[int]:
    """Return the latency of every stamped message, in nanoseconds, each taken when it was there as a whole."""
    begin, marker = order["begin"].encode(), order["marker"].encode()
    poll = select.epoll()
    for number in readers:
        poll.register(number, select.EPOLLIN)
    latencies: list[int] = []
    begun: dict[int, bytearray] = {}
    inflaters: dict[int, zlib._Decompress] = {}
    wanted = order["expected"] * len(readers)
    end = time.monotonic() + order["seconds"]
    while len(latencies) < wanted and time.monotonic() < end:
        for number, _ in poll.poll(0.5):
            data: bytes | bytearray = readers[number].recv(READ_BYTES)
            now = time.monotonic_ns()
            if number in begun:
                begun[number] += data
                data = begun[number]
            at = 0
            while (frame := frame_at(data, at)) is not None and len(data) >= frame[1]:
                if data[at] & COMPRESSED:
                    text = inflate(inflaters.setdefault(number, zlib.decompressobj(-15)), data[frame[0] : frame[1]])
                    stamps = stamps_in(marker, text, 0, len(text)) if text.startswith(begin) else []
                else:
                    stamps = stamps_in(marker, data, *frame) if data.startswith(begin, frame[0]) else []
                latencies += [now - stamp for stamp in stamps]
                at = frame[1]
            if at < len(data):
                begun[number] = bytearray(data[at:]) if at or number not in begun else begun[number]
            else:
                begun.pop(number, None)
    return latencies


def inflate(inflater: "zlib._Decompress", payload: bytes | bytearray) -> bytes:
    """Return the text of a compressed payload; each socket has a stream of its own."""
    return inflater.decompress(bytes(payload) + b"\x00\x00\xff\xff")


def stamps_in(marker: bytes, data: bytes | bytearray, start: int, end: int) -> list[int]:
    """Return the stamps in a payload."""
    stamps = []
    found = data.find(marker, start, end)
    while found >= 0:
        first = found + len(marker)
        last = data.index(b'"', first)
        stamps.append(int(data[first:last]))
        found = data.find(marker, last, end)
    return stamps


def frame_at(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return where the payload of the frame at `at` begins and ends; None while that is not known."""
    if len(data) < at + 2:
        return None
    length, start = data[at + 1] & 127, at + 2
    if length >= 126:
        size = 2 if length == 126 else 8
        if len(data) < start + size:
            return None
        start, length = start + size, int.from_bytes(data[start : start + size], "big")
    return start, start + length


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
