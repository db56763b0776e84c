"""The ledger over HTTP against the same SQL by hand: one fill (P1), 16 clients (P2), a batch of 100 operations (P3)."""

import os
import statistics
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg

from bench.ledger_hand import Hand
from bench.ledger_http import Answers, WebServer, request, send_all
from bench.ledger_rows import BenchBot, LedgerRows
from bench.ledger_script import OPERATIONS_PER_BATCH, batch_body, fill_body
from bench.ledger_workers import Workers
from bench.rows import BenchRow, row

CASES = ("P1", "P2", "P3")
CLIENTS = 16
P1_P50_AT_MOST, P1_P99_AT_MOST = 2.0, 3.0
P2_AT_LEAST = 0.5
P3_AT_MOST, P3_OF_P1_AT_MOST = 1.3, 0.2
SAMPLE_SECONDS = 0.02


class Size(NamedTuple):
    """How much is measured: rounds, and what one round holds."""

    rounds: int
    fills: int
    fills_per_client: int
    batches: int
    requests_per_client: int


WHOLE = Size(rounds=5, fills=1_000, fills_per_client=120, batches=6, requests_per_client=128)
QUICK = Size(rounds=3, fills=40, fills_per_client=8, batches=1, requests_per_client=4)


@dataclass(slots=True)
class Sides:
    """What the rounds of both sides gave, a figure a round."""

    api: list[float] = field(default_factory=list)
    hand: list[float] = field(default_factory=list)

    def medians(self) -> tuple[float, float]:
        return statistics.median(self.api), statistics.median(self.hand)


def database() -> tuple[str, str]:
    """Return where the ledger is, and the options that a session of ours needs."""
    from django.conf import settings

    from tradingdb.lib.db import SEARCH_PATH

    url = os.environ.get("DATABASE_URL") or str(settings.DATABASE_URL)
    return url, f"-c search_path={','.join(SEARCH_PATH)} -c timezone=UTC"


class Ground:
    """Everything the cases share: the server, a hand, pairs of bots, and one connection for each bot of the API."""

    def __init__(self, stack: ExitStack, size: Size) -> None:
        from django.conf import settings

        self.url, self.options = database()
        self.size, self.stack = size, stack
        self.pool_size = int(settings.LANE_POOL_SIZE)
        self.hand = Hand(self.url, self.options)
        stack.callback(self.hand.connection.close)
        self.rows = stack.enter_context(LedgerRows(self.url, self.options, pairs=CLIENTS))
        self.server = stack.enter_context(WebServer(self.rows.name))
        self.connections = [stack.enter_context(self.server.connect()) for _ in range(CLIENTS)]

    def requests(self, bot: BenchBot, count: int) -> list[bytes]:
        """Return a bot's next fills as requests; their orders are there."""
        orders, fills = bot.script.fills(count)
        self.hand.write(bot.owner, orders)
        return [request("/fills", bot.token, fill_body(fill)) for fill in fills]

    def api_fills(self, count: int) -> list[float]:
        """Write fills over one connection and return the latency of each in microseconds."""
        requests = self.requests(self.rows.api[0], count)
        return send_all(self.connections[:1], [requests]).expect(201).latencies

    def hand_fills(self, count: int) -> list[float]:
        """Write the same by hand."""
        bot = self.rows.hand[0]
        orders, fills = bot.script.fills(count)
        self.hand.write(bot.owner, orders)
        latencies = []
        for fill in fills:
            begin = time.perf_counter_ns()
            self.hand.write(bot.owner, (fill,))
            latencies.append((time.perf_counter_ns() - begin) / 1000)
        return latencies

    def api_batches(self) -> list[float]:
        """Send batches over one connection and return how long each took, in microseconds."""
        bot = self.rows.api[0]
        bodies = [batch_body(bot.script.batch()) for _ in range(self.size.batches)]
        requests = [request("/batch", bot.token, body) for body in bodies]
        answers = send_all(self.connections[:1], [requests]).expect(200)
        if b'"code"' in answers.last_body:
            raise RuntimeError(f"An operation of a batch was refused: {answers.last_body[:500]!r}")
        return answers.latencies

    def api_fill_batches(self) -> list[float]:
        """Send batches of fills alone, whose orders are there, and return how long each took, in microseconds."""
        bot, requests = self.rows.api[0], []
        for _ in range(self.size.batches):
            orders, fills = bot.script.fills(OPERATIONS_PER_BATCH)
            self.hand.write(bot.owner, orders)
            requests.append(request("/batch", bot.token, batch_body(list(fills))))
        answers = send_all(self.connections[:1], [requests]).expect(200)
        if b'"code"' in answers.last_body:
            raise RuntimeError(f"A fill of a batch was refused: {answers.last_body[:500]!r}")
        return answers.latencies

    def hand_fill_batches(self) -> list[float]:
        """Write the same by hand, each batch in one transaction."""
        bot, took = self.rows.hand[0], []
        for _ in range(self.size.batches):
            orders, fills = bot.script.fills(OPERATIONS_PER_BATCH)
            self.hand.write(bot.owner, orders)
            begin = time.perf_counter_ns()
            self.hand.write(bot.owner, fills)
            took.append((time.perf_counter_ns() - begin) / 1000)
        return took

    def hand_batches(self) -> list[float]:
        """Write the same by hand, each batch in one transaction."""
        bot, took = self.rows.hand[0], []
        for _ in range(self.size.batches):
            facts = bot.script.batch()
            begin = time.perf_counter_ns()
            self.hand.write(bot.owner, facts)
            took.append((time.perf_counter_ns() - begin) / 1000)
        return took

    def api_clients(self, count: int) -> Answers:
        """Write `count` fills a client, all clients at the same time."""
        return send_all(self.connections, [self.requests(bot, count) for bot in self.rows.api])

    def hand_clients(self, workers: Workers, count: int) -> float:
        """Write the same by hand, a process a bot, and return the seconds it took."""
        todo = []
        for bot in self.rows.hand:
            orders, fills = bot.script.fills(count)
            self.hand.write(bot.owner, orders)
            todo.append(fills)
        return workers.write([bot.owner for bot in self.rows.hand], todo)


def run(only: Collection[str] = CASES, *, quick: bool = False) -> Iterator[BenchRow]:
    """Measure the chosen cases; both sides write the same facts, and the rows they leave are compared at the end."""
    with ExitStack() as stack:
        ground = Ground(stack, QUICK if quick else WHOLE)
        # Both sides prepare their statements and fill their caches before anything is measured.
        ground.api_fills(40)
        ground.hand_fills(40)
        if "P1" in only:
            yield from p1(ground)
        if "P2" in only:
            yield from p2(ground)
        if "P3" in only:
            yield from p3(ground)
        ground.rows.check(ground.hand)


def p1(ground: Ground) -> Iterator[BenchRow]:
    """Yield the latency of one fill, one client."""
    p50, p99 = Sides(), Sides()
    for _ in range(ground.size.rounds):
        for latencies, to50, to99 in (
            (ground.api_fills(ground.size.fills), p50.api, p99.api),
            (ground.hand_fills(ground.size.fills), p50.hand, p99.hand),
        ):
            to50.append(statistics.median(latencies))
            to99.append(statistics.quantiles(latencies, n=100)[-1])
    for case, sides, at_most in (("p50", p50, P1_P50_AT_MOST), ("p99", p99, P1_P99_AT_MOST)):
        value, baseline = sides.medians()
        yield row("P1", f"one fill over HTTP, {case}", value, "us", baseline=baseline, at_most=at_most)


def p2(ground: Ground) -> Iterator[BenchRow]:
    """Yield fills a second of 16 clients, each for a bot and a symbol of its own, and what 2,000 requests do."""
    workers = ground.stack.enter_context(Workers(ground.url, ground.options, count=CLIENTS))
    sides, count = Sides(), ground.size.fills_per_client
    ground.api_clients(8).expect(201)
    ground.hand_clients(workers, 8)
    for _ in range(ground.size.rounds):
        sides.api.append(CLIENTS * count / ground.api_clients(count).expect(201).seconds)
        sides.hand.append(CLIENTS * count / ground.hand_clients(workers, count))
    value, baseline = sides.medians()
    yield row("P2", f"{CLIENTS} clients", value, "fills/s", baseline=baseline, at_least=P2_AT_LEAST)
    count = ground.size.requests_per_client
    with Watch(ground) as watch:
        answers = ground.api_clients(count)
    failed = sum(status >= 500 for status in answers.statuses)
    yield row("P2", f"5xx of {len(answers.statuses):,} requests", failed, "answers", at_most=0)
    yield row("P2", "connections of the lane", watch.most, "connections", at_most=ground.pool_size)
    ground.hand_clients(workers, count)


class Watch:
    """Counts the connections of the lane again and again, for the time of a `with` block."""

    def __init__(self, ground: Ground) -> None:
        self.most = 0
        self._ground = ground
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tradingdb-lane'"
        with psycopg.connect(self._ground.url, autocommit=True) as connection:
            while not self._end.wait(SAMPLE_SECONDS):
                found = connection.execute(counted).fetchone()
                assert found is not None
                self.most = max(self.most, found[0])


def p3(ground: Ground) -> Iterator[BenchRow]:
    """Yield the time of one operation, and of one fill, in a batch of a hundred: against the hand and a fill alone."""
    mixed, filled, single = Sides(), Sides(), []
    few = ground.size.fills // 5
    # The first round prepares statements and does not count.
    for number in range(ground.size.rounds + 1):
        took = [ground.api_batches(), ground.hand_batches(), ground.api_fill_batches(), ground.hand_fill_batches()]
        fills = ground.api_fills(few)
        ground.hand_fills(few)
        if number:
            to = (mixed.api, mixed.hand, filled.api, filled.hand)
            for each, side in zip(took, to, strict=True):
                side.append(statistics.median(each) / OPERATIONS_PER_BATCH)
            single.append(statistics.median(fills))
    alone = statistics.median(single)
    for case, sides in (("an operation", mixed), ("a fill", filled)):
        value, baseline = sides.medians()
        what = "operations of all kinds" if sides is mixed else "fills"
        case = f"{case} in a batch of {OPERATIONS_PER_BATCH} {what}"
        yield row("P3", case, value, "us", baseline=baseline, at_most=P3_AT_MOST)
        yield row("P3", f"{case}, against a fill alone", value, "us", baseline=alone, at_most=P3_OF_P1_AT_MOST)
