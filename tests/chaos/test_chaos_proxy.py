"""Each fault of the network is what its name says, for the client and for the server."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.chaos.proxy import Fault, FaultProxy, Weather
from tradingdb.services.processes import wait_until

BODY = b"x" * 500


class Handler(BaseHTTPRequestHandler):
    """Notes each whole body and answers with it."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if len(content) == len(BODY):
            self.server.seen.append(content)
        self.send_response(201)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server that counts what reaches it whole."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[bytes] = []


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def post(proxy: FaultProxy) -> int | None:
    """The status a client sees; None: no answer."""
    try:
        return httpx.post(proxy.url, content=BODY, timeout=0.5, trust_env=False).status_code
    except httpx.TransportError:
        return None


@pytest.mark.parametrize(
    ("fault", "answer", "arrivals"),
    [
        (Fault.NONE, 201, 1),
        (Fault.DELAY, 201, 1),
        (Fault.SLOW, 201, 1),
        (Fault.CUT_REQUEST, None, 0),
        (Fault.LOSE_ANSWER, None, 1),
        (Fault.CUT_ANSWER, None, 1),
        (Fault.KEEP_ANSWER, None, 1),
        (Fault.SILENCE, None, 0),
        (Fault.LATE, None, 1),
        (Fault.TWICE, 201, 2),
    ],
)
def test_client_and_server_see_what_the_fault_leaves(server: Server, fault: Fault, answer: int | None, arrivals: int):
    with FaultProxy(server.server_address[1], lambda: fault, delay=0.02) as proxy:
        seen = post(proxy)
        proxy.settle()

        assert seen == answer
        assert len(server.seen) == arrivals
        assert proxy.answers.total() == arrivals
        assert proxy.faults == {fault: 1}


def test_refused_connections_are_taken_again_on_the_same_port(server: Server):
    with FaultProxy(server.server_address[1]) as proxy:
        port = proxy.port
        proxy.refuse()
        assert (post(proxy), len(server.seen)) == (None, 0)

        proxy.accept()
        assert (post(proxy), proxy.port) == (201, port)


def test_what_was_sent_into_the_silence_arrives_after_it(server: Server):
    with FaultProxy(server.server_address[1]) as proxy:
        proxy.swallow()
        assert (post(proxy), len(server.seen)) == (None, 0)

        proxy.pass_on()
        assert wait_until(lambda: len(server.seen) == 1, 10)


def test_no_server_is_a_dead_line(server: Server):
    server.server_close()
    with FaultProxy(server.server_address[1]) as proxy:
        assert post(proxy) is None
        assert proxy.unsent == 1


def test_the_same_seed_gives_the_same_weather():
    odds = {Fault.LATE: 0.2, Fault.TWICE: 0.1}
    one, other, third = (Weather(seed, odds) for seed in (1, 1, 2))
    draws = [one() for _ in range(200)]

    assert draws == [other() for _ in range(200)] != [third() for _ in range(200)]
    assert set(draws) == {Fault.NONE, Fault.LATE, Fault.TWICE}
