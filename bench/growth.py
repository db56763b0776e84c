"""What a fill costs a bot of ten thousand fills and one of a million in the same ledger, call by call in turn (P12)."""

import socket
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import NamedTuple

from bench.growth_rows import PATTERN, SYMBOLS, Growth, grow, tell_pattern
from bench.ledger import database
from bench.ledger_hand import Hand
from bench.ledger_http import WebServer, request, send_all
from bench.ledger_rows import BenchBot, LedgerRows
from bench.ledger_script import FILLS_PER_ORDER, Fill, Script, fill_body
from bench.rows import BenchRow, row
from bench.write_plans import LARGE, Old, planned

CASES = ("P12",)
AT_MOST = 1.2
MAKING_SECONDS = 180
WARM_UP = 160
ROUNDS = 4
# Which fill of a cycle of eight is told late.
LATE_AT = 3
# Every bot of the ledger beside the two that are measured.
OTHERS = 10
READ_WHOLE = "SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_user_tables WHERE relname = ANY(%s)"
SOME_FILL = """
    SELECT order_id, symbol, executed_at FROM fills WHERE bot_id = %s ORDER BY executed_at DESC OFFSET 50 LIMIT 1
"""


class Size(NamedTuple):
    """Fills of the small bot and of the large one, of every other one, and fills that are measured of each."""

    small: int
    large: int
    other: int
    fills: int


WHOLE = Size(small=10_000, large=1_000_000, other=20_000, fills=1_600)
QUICK = Size(small=2 * PATTERN, large=4 * PATTERN, other=PATTERN, fills=160)


class Teller:
    """A bot that goes on trading: its symbols in turn, and what it sends as requests."""

    def __init__(self, bot: BenchBot, hand: Hand) -> None:
        self.bot, self._hand = bot, hand
        self._scripts = [Script(f"m{number}", f"GROW{number}USDT") for number in range(SYMBOLS)]
        self._turn = 0
        for script in self._scripts:
            # Newer than everything that is there.
            script.begin += timedelta(minutes=59)

    def requests(self, count: int, *, is_late: bool = False) -> list[bytes]:
        """Return requests of the next fills, whose orders are there.

        is_late: only those that come after a newer fill of the same order, into a position that is open then; the
        others are written on the way.
        """
        requests: list[bytes] = []
        while len(requests) < count:
            script = self._scripts[self._turn % SYMBOLS]
            self._turn += 1
            orders, fills = script.fills(2 * FILLS_PER_ORDER)
            self._hand.write(self.bot.owner, orders)
            requests += [self._request(fill) for fill in (late(fills) if is_late else fills)]
        return requests

    def _request(self, fill: Fill) -> bytes:
        return request("/fills", self.bot.token, fill_body(fill))


def late(fills: Sequence[Fill]) -> list[Fill]:
    """Return the fills of two orders so that the third of the first order comes after its fourth."""
    first, second, third, fourth, *others = fills
    return [first, second, fourth, third, *others]


def run(*, quick: bool = False) -> Iterator[BenchRow]:
    """Make the ledger, tell the fills, look at the plans."""
    size, (url, options) = QUICK if quick else WHOLE, database()
    # Making a million rows and removing them takes longer than a statement of the site may.
    patient = f"{options} -c statement_timeout=0"
    with ExitStack() as stack:
        hand = Hand(url, patient)
        stack.callback(hand.connection.close)
        rows = stack.enter_context(LedgerRows(url, patient, pairs=1 + OTHERS // 2))
        small, large, *others = [*rows.api, *rows.hand]
        begin = time.perf_counter()
        with WebServer(rows.name) as server:
            tell_pattern(small, server)
        wanted = [Growth(small, size.small // PATTERN - 1), Growth(large, size.large // PATTERN)]
        grow(hand.connection, small, wanted + [Growth(other, size.other // PATTERN) for other in others])
        yield row("P12", "making the ledger", time.perf_counter() - begin, "s", at_most=MAKING_SECONDS)
        tellers = Teller(small, hand), Teller(large, hand)
        before = _read_whole(hand)
        with WebServer(rows.name) as server:
            connection = server.connect()
            stack.callback(connection.close)
            for is_late in (False, True):
                yield from _measured(connection, tellers, size, is_late=is_late)
        # The server's sessions are at an end and have told what they did.
        yield row("P12", "large tables read whole by these fills", _read_whole(hand) - before, "scans", at_most=0)
        yield from _plans(large, hand)


def _measured(connection: socket.socket, tellers: Sequence[Teller], size: Size, *, is_late: bool) -> Iterator[BenchRow]:
    """Yield the latencies of the small bot and of the large one, whose fills take turns on one connection."""
    send_all([connection], [_in_turn([teller.requests(WARM_UP, is_late=is_late) for teller in tellers])]).expect(201)
    sides: tuple[list[float], ...] = tuple([] for _ in tellers)
    for _ in range(ROUNDS):
        told = [teller.requests(size.fills // ROUNDS, is_late=is_late) for teller in tellers]
        latencies = send_all([connection], [_in_turn(told)]).expect(201).latencies
        for number, side in enumerate(sides):
            own = latencies[number :: len(sides)]
            side += own[LATE_AT :: 2 * FILLS_PER_ORDER] if is_late else own
    case = "a late fill into an open position" if is_late else "one fill over HTTP"
    few, many = (f"{case}, bot of {fills:,} fills" for fills in (size.small, size.large))
    p50 = [statistics.median(side) for side in sides]
    p99 = [statistics.quantiles(side, n=100)[-1] for side in sides]
    yield row("P12", f"{few}, p50", p50[0], "us")
    yield row("P12", f"{many}, p50", p50[1], "us", baseline=p50[0], at_most=AT_MOST)
    yield row("P12", f"{few}, p99", p99[0], "us")
    yield row("P12", f"{many}, p99", p99[1], "us", baseline=p99[0])


def _in_turn(told: Sequence[Sequence[bytes]]) -> list[bytes]:
    return [one for each in zip(*told, strict=True) for one in each]


def _read_whole(hand: Hand) -> int:
    """Return how often the large tables were read from end to end so far."""
    # A session tells its figures at most once a second.
    time.sleep(1.1)
    for _ in range(2):
        found = hand.connection.execute(READ_WHOLE, [list(LARGE)]).fetchone()
    assert found is not None
    return int(found[0])


def _plans(bot: BenchBot, hand: Hand) -> Iterator[BenchRow]:
    """Yield how many statements of everything a bot sends have a plan that reads a large table whole."""
    from django.conf import settings
    from django.db import transaction

    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    found = hand.connection.execute(SOME_FILL, [bot.owner.bot_id]).fetchone()
    assert found is not None
    with transaction.atomic():
        statements = list(planned(bot.token, Old(bot.owner.bot_id, *found)))
        transaction.set_rollback(True)
    bad = [statement for statement in statements if statement.whole]
    for statement in bad:
        sys.stderr.write(f"{statement.path} reads {', '.join(statement.whole)} whole: {statement.sql}\n")
    case = f"of {len(statements)} statements of the write path, those that read a large table whole"
    yield row("P12", case, len(bad), "statements", at_most=0)
