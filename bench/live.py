"""Commit to browser (P8, P9): from the publish of a change to every socket, against a bare loop in the same run."""

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import psutil

from bench.live_clients import Order
from bench.live_publisher import Plan
from bench.live_rows import BenchRows
from bench.rows import BenchRow, emit, row

ROUNDS = 3
SECONDS = 5
PATIENCE_SECONDS = 8
# The targets of P8 and P9.
P50_AT_MOST, P99_AT_MOST, CPU_AT_MOST, TICK_AT_MOST = 1.15, 1.25, 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is published, and to how many sockets; `stalled` more connect and never read."""

    clients: int
    per_second: int = 50
    is_price: bool = False
    stalled: int = 0

    @property
    def changes(self) -> int:
        return self.per_second * SECONDS

    def words(self, kind: str) -> tuple[str, str]:
        """Return how a message begins and what stands before a stamp; Channels puts blanks into its JSON."""
        blank = " " if kind == "group" else ""
        return f'{{"type":{blank}"delta"', f'"{"price" if self.is_price else "strategy"}":{blank}"'


@dataclass(slots=True)
class Measured:
    """What the rounds of one server gave: milliseconds, the share delivered, CPU microseconds a delivery."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    delivered: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, latencies: list[int], *, load: Load, cpu_seconds: float) -> None:
        if not latencies:
            raise RuntimeError("Nothing was delivered.")
        latencies.sort()
        self.p50.append(latencies[len(latencies) // 2] / 1e6)
        self.p99.append(latencies[len(latencies) * 99 // 100] / 1e6)
        self.delivered.append(len(latencies) / (load.changes * load.clients))
        self.cpu.append(cpu_seconds / len(latencies) * 1e6)


class Server:
    """One of the compared servers in a process of its own."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.process = subprocess.Popen([sys.executable, "-m", "bench.live_servers", kind, str(self.port)])
        self._usage = psutil.Process(self.process.pid)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The {kind} server did not start.")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def cpu_seconds(self) -> float:
        times = self._usage.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run() -> Iterator[BenchRow]:
    """Measure P8 at 200 and 1,000 sockets and its cost against a Channels group; P9, and one stalled socket."""
    # A thousand sockets on either side need more files than a shell usually allows.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        rows = stack.enter_context(BenchRows(positions=20))
        servers = start(stack, "ours", "bare", "group")
        results = yield from p8(servers, rows, 200)
        yield from p8(servers, rows, 1_000)
        yield from against_group(servers, rows, results)
    with ExitStack() as stack:
        rows = stack.enter_context(BenchRows(positions=1_000, bots=1_000))
        yield from p9(start(stack, "ours", "bare"), rows)


def start(stack: ExitStack, *kinds: str) -> dict[str, Server]:
    """Start servers that end with the stack."""
    servers = {}
    for kind in kinds:
        servers[kind] = Server(kind)
        stack.callback(servers[kind].stop)
    return servers


def compare(servers: dict[str, Server], rows: BenchRows, load: Load) -> dict[str, Measured]:
    """Return what ours and the bare loop give, in alternating rounds."""
    results = {"ours": Measured(), "bare": Measured()}
    for _ in range(ROUNDS):
        for kind, measured in results.items():
            one_round(servers[kind], rows, load, measured)
    return results


def p8(servers: dict[str, Server], rows: BenchRows, clients: int) -> Generator[BenchRow, None, Measured]:
    """Yield latency and delivery of 50 changes a second; return what ours gave."""
    results = compare(servers, rows, Load(clients))
    ours, bare = results["ours"], results["bare"]
    yield from latency_rows("P8", f"{clients} sockets", ours, bare, p50=P50_AT_MOST, p99=P99_AT_MOST)
    cpu = statistics.median(ours.cpu)
    yield row("P8", f"{clients} sockets, CPU a delivery", cpu, "us", baseline=statistics.median(bare.cpu))
    return ours


def latency_rows(
    bench: str, case: str, ours: Measured, bare: Measured, *, p50: float, p99: float | None
) -> Iterator[BenchRow]:
    """Yield the medians of the rounds beside the baseline's, and the smallest share delivered."""
    median = statistics.median
    yield row(bench, f"{case}, p50", median(ours.p50), "ms", baseline=median(bare.p50), at_most=p50)
    yield row(bench, f"{case}, p99", median(ours.p99), "ms", baseline=median(bare.p99), at_most=p99)
    yield row(bench, f"{case}, delivered", min(ours.delivered), "share", at_least=1.0)


def against_group(servers: dict[str, Server], rows: BenchRows, ours: Measured) -> Iterator[BenchRow]:
    """Yield the CPU of a delivery against a Channels group, at 200 sockets."""
    group = Measured()
    for _ in range(ROUNDS):
        one_round(servers["group"], rows, Load(200), group)
    cpu, baseline = statistics.median(ours.cpu), statistics.median(group.cpu)
    yield row("P8", "200 sockets, CPU a delivery against a group", cpu, "us", baseline=baseline, at_most=CPU_AT_MOST)


def p9(servers: dict[str, Server], rows: BenchRows) -> Iterator[BenchRow]:
    """Yield what one price tick over 1,000 positions costs, and that one socket that takes nothing harms nobody."""
    load = Load(200, per_second=2, is_price=True)
    results = compare(servers, rows, load)
    case = "1,000 positions, 200 sockets"
    yield from latency_rows("P9", case, results["ours"], results["bare"], p50=TICK_AT_MOST, p99=None)
    stalled = Measured()
    one_round(servers["ours"], rows, Load(200, per_second=2, is_price=True, stalled=1), stalled)
    yield from latency_rows("P8", "one stalled socket", stalled, results["ours"], p50=P50_AT_MOST, p99=None)


def one_round(server: Server, rows: BenchRows, load: Load, measured: Measured) -> None:
    """Connect clients, publish for some seconds, and add what they saw."""
    begin, marker = load.words(server.kind)
    order = Order(
        port=server.port, path="/ws/live/", cookie=rows.cookie, clients=load.clients, stalled=load.stalled,
        expected=load.changes, begin=begin, marker=marker, seconds=SECONDS + PATIENCE_SECONDS,
    )  # fmt: skip
    command = [sys.executable, "-m", "bench.live_clients", json.dumps(order)]
    receiver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    if receiver.stdout.readline() != "ready\n":
        raise RuntimeError(f"The clients of the {server.kind} server did not connect.")
    # Every client has its snapshot before anything is measured.
    time.sleep(0.5)
    before = server.cpu_seconds()
    publish(server.kind, rows, load)
    answer = json.loads(receiver.stdout.readline())
    receiver.wait(15)
    measured.add(answer["latencies"], load=load, cpu_seconds=server.cpu_seconds() - before)


def publish(kind: str, rows: BenchRows, load: Load) -> None:
    """Publish the changes in a process of their own."""
    plan = Plan(
        kind=kind, rows=rows.positions, first_version=rows.next_version, changes=load.changes,
        per_second=load.per_second, is_price=load.is_price,
    )  # fmt: skip
    rows.next_version += load.changes
    subprocess.run([sys.executable, "-m", "bench.live_publisher"], input=json.dumps(plan), text=True, check=True)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdb.settings.dev")
    django.setup()
    for measured_row in run():
        emit(measured_row)
