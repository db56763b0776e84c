"""Many WebSocket clients in one small process, reading with epoll: python -m bench.live_clients '{"port": …}'.

Prints "ready" when all are connected, reads until `expected` stamped messages came to each or the time is over, and
prints the latencies as JSON. A stamp is the publisher's monotonic clock in nanoseconds behind `"strategy":"`.
"""

import json
import select
import socket
import sys
import time
from typing import TypedDict

STAMP = b'"strategy":"'
HANDSHAKES_AT_ONCE = 50


class Order(TypedDict):
    """What to measure. `is_last_only`: count only each client's last stamp, for streams that are coalesced."""

    port: int
    path: str
    cookie: str
    clients: int
    expected: int
    seconds: float


def main(order: Order) -> None:
    sockets = connect(order)
    poll = select.epoll()
    for number in sockets:
        poll.register(number, select.EPOLLIN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    latencies = read(order, sockets, poll)
    sys.stdout.write(json.dumps({"latencies": latencies, "cpu": time.process_time()}) + "\n")


def connect(order: Order) -> dict[int, socket.socket]:
    """Open the sockets, a few at a time, and read each handshake."""
    request = (
        f"GET {order['path']} HTTP/1.1\r\nHost: 127.0.0.1:{order['port']}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Origin: http://127.0.0.1\r\nCookie: {order['cookie']}\r\n\r\n"
    ).encode()
    sockets: dict[int, socket.socket] = {}
    while len(sockets) < order["clients"]:
        opening = [socket.create_connection(("127.0.0.1", order["port"])) for _ in range(HANDSHAKES_AT_ONCE)]
        opening = opening[: order["clients"] - len(sockets)]
        for connection in opening:
            connection.sendall(request)
        for connection in opening:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                # Byte by byte: the first message may follow the handshake in the same packet.
                head += connection.recv(1)
            if not head.startswith(b"HTTP/1.1 101"):
                raise SystemExit(f"refused: {head[:40]!r}")
            connection.setblocking(False)
            sockets[connection.fileno()] = connection
    return sockets


def read(order: Order, sockets: dict[int, socket.socket], poll: select.epoll) -> list[int]:
    """Return the latency of every stamped message, in nanoseconds."""
    latencies: list[int] = []
    begun: dict[int, bytes] = {}
    wanted = order["expected"] * len(sockets)
    end = time.monotonic() + order["seconds"]
    clock = time.monotonic_ns
    while len(latencies) < wanted and time.monotonic() < end:
        for number, _ in poll.poll(0.5):
            data = sockets[number].recv(1 << 20)
            now = clock()
            if number in begun:
                data = begun.pop(number) + data
            at = 0
            while (head := frame_head(data, at)) is not None and len(data) >= sum(head):
                start, length = head
                found = data.find(STAMP, start, start + length)
                if found >= 0:
                    first = found + len(STAMP)
                    stamp = data[first : data.index(b'"', first)]
                    if stamp.isdigit():
                        latencies.append(now - int(stamp))
                at = start + length
            if at < len(data):
                begun[number] = data[at:]
    return latencies


def frame_head(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the payload of the frame at `at` starts and how long it is; None while that is not known."""
    if len(data) < at + 2:
        return None
    length, start = data[at + 1] & 127, at + 2
    if length < 126:
        return start, length
    size = 2 if length == 126 else 8
    if len(data) < start + size:
        return None
    return start + size, int.from_bytes(data[start : start + size], "big")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
