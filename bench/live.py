"""Commit to browser: how long a change takes from its publish to every socket, against a bare loop in the same run."""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.live_rows import BenchRows
from bench.rows import BenchRow, emit, row

ROUNDS = 3
CHANGES_PER_SECOND = 50
SECONDS = 5
# P8 of the performance targets.
P50_AT_MOST, P99_AT_MOST, CPU_AT_MOST = 1.15, 1.25, 0.1


@dataclass(slots=True)
class Measured:
    """What the rounds of one server gave: milliseconds, shares, and CPU microseconds a delivery."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    delivered: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, latencies: list[int], *, wanted: int, cpu_seconds: float) -> None:
        latencies.sort()
        self.p50.append(latencies[len(latencies) // 2] / 1e6)
        self.p99.append(latencies[len(latencies) * 99 // 100] / 1e6)
        self.delivered.append(len(latencies) / wanted)
        self.cpu.append(cpu_seconds / len(latencies) * 1e6)


class Server:
    """One of the compared servers in a process of its own."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.process = subprocess.Popen([sys.executable, "-m", "bench.live_servers", kind, str(self.port)])
        self.usage = psutil.Process(self.process.pid)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The {kind} server did not start.")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def cpu_seconds(self) -> float:
        times = self.usage.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(15)


def run() -> Iterator[BenchRow]:
    """Measure P8 at 200 and 1,000 sockets, the cost against a Channels group, and one stalled client."""
    with ExitStack() as stack:
        rows = stack.enter_context(BenchRows())
        servers = {kind: Server(kind) for kind in ("ours", "bare", "group")}
        for server in servers.values():
            stack.callback(server.stop)
        for clients in (200, 1_000):
            yield from p8(servers, rows, clients)
        yield from against_group(servers, rows)


def p8(servers: dict[str, Server], rows: BenchRows, clients: int) -> Iterator[BenchRow]:
    """Yield latency and delivery of ours against the bare loop, rounds alternating."""
    results = {"ours": Measured(), "bare": Measured()}
    for _ in range(ROUNDS):
        for kind, measured in results.items():
            one_round(servers[kind], rows, clients, measured)
    ours, bare = results["ours"], results["bare"]
    case = f"{clients} sockets"
    median = statistics.median
    yield row("P8", f"{case} p50", median(ours.p50), "ms", baseline=median(bare.p50), at_most=P50_AT_MOST)
    yield row("P8", f"{case} p99", median(ours.p99), "ms", baseline=median(bare.p99), at_most=P99_AT_MOST)
    yield row("P8", f"{case} delivered", min(ours.delivered), "share", at_least=1.0)
    yield row("P8", f"{case} CPU a delivery", median(ours.cpu), "us", baseline=median(bare.cpu))


def against_group(servers: dict[str, Server], rows: BenchRows) -> Iterator[BenchRow]:
    """Yield the CPU of a delivery against a Channels group, at 200 sockets."""
    results = {"ours": Measured(), "group": Measured()}
    for _ in range(ROUNDS):
        for kind, measured in results.items():
            one_round(servers[kind], rows, 200, measured)
    ours, group = results["ours"], results["group"]
    yield row("P8", "CPU a delivery against a group", statistics.median(ours.cpu), "us",
              baseline=statistics.median(group.cpu), at_most=CPU_AT_MOST)  # fmt: skip


def one_round(server: Server, rows: BenchRows, clients: int, measured: Measured) -> None:
    """Connect clients, publish for some seconds, and add what they saw."""
    changes = CHANGES_PER_SECOND * SECONDS
    order = {
        "port": server.port, "path": "/ws/live/", "cookie": rows.cookie, "clients": clients, "expected": changes,
        "seconds": SECONDS + 6,
    }  # fmt: skip
    receiver = subprocess.Popen(
        [sys.executable, "-m", "bench.live_clients", json.dumps(order)], stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None
    if receiver.stdout.readline() != "ready\n":
        raise RuntimeError(f"The clients of the {server.kind} server did not connect.")
    # The snapshots of all clients are read before anything is measured.
    time.sleep(0.5)
    before = server.cpu_seconds()
    publish(server.kind, rows, changes)
    answer = json.loads(receiver.stdout.readline())
    receiver.wait(15)
    measured.add(answer["latencies"], wanted=changes * clients, cpu_seconds=server.cpu_seconds() - before)


def publish(kind: str, rows: BenchRows, changes: int) -> None:
    """Publish changes in a process of their own."""
    plan: dict[str, Any] = {
        "kind": kind, "rows": rows.positions, "first_version": rows.next_version, "changes": changes,
        "per_second": CHANGES_PER_SECOND,
    }  # fmt: skip
    rows.next_version += changes
    subprocess.run([sys.executable, "-m", "bench.live_publisher", json.dumps(plan)], check=True)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdb.settings.dev")
    django.setup()
    for measured_row in run():
        emit(measured_row)
