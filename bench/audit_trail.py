"""What the audit trail costs (P16): eight writers with it and without, in turn, sealed each second while they write."""

import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import psycopg

from bench.ledger_hand import Hand
from bench.ledger_rows import BenchBot, LedgerRows
from bench.ledger_workers import Workers
from bench.rows import BenchRow, row

CASES = ("P16",)
WRITERS = 8
AT_MOST, LAG_AT_MOST, VERIFIED_AT_LEAST = 1.6, 3.0, 100_000
SAMPLE_SECONDS = 0.1
# What bots write, of which the trail keeps a change.
TABLES = ("trading.fills", "trading.orders", "trading.positions", "trading.trades")
ONE_BY_ONE = """
    INSERT INTO fills (bot_id, account_id, fill_id, order_id, symbol, side, price, quantity, fee, fee_currency,
        exchange_trade_id, executed_at, source, content_hash, fee_rate, fee_quote, flags)
    SELECT %s, %s, %s || n, %s, 'P16USDT', 'buy', 100, 1, 0, 'USDT', %s || n, now(), 'api', '\\x00', 1, 0, '{}'
    FROM generate_series(1, %s) AS n
"""


class Size(NamedTuple):
    """Rounds of each side, the fills of one writer in a round, rows of the single statement, and rows to verify."""

    rounds: int
    fills: int
    rows: int
    verified: int


WHOLE = Size(rounds=7, fills=400, rows=5_000, verified=100_000)
QUICK = Size(rounds=2, fills=16, rows=200, verified=2_000)


def run(*, quick: bool = False) -> Iterator[BenchRow]:
    """Measure; the trail's triggers are switched off for the rounds without it."""
    from django.conf import settings

    from tradingdb.lib.db import SEARCH_PATH

    size = QUICK if quick else WHOLE
    url, bot_url = os.environ.get("DATABASE_URL") or settings.DATABASE_URL, settings.BOT_DATABASE_URL
    options = f"-c search_path={','.join(SEARCH_PATH)} -c timezone=UTC -c statement_timeout=0"
    with LedgerRows(url, options, pairs=WRITERS) as rows, psycopg.connect(url, autocommit=True, options=options) as own:
        yield _statement(own, rows.hand[0], size)
        yield from _writers(own, bot_url, options, rows.hand, size)
    yield _verified(url, options, size)


def _statement(own: psycopg.Connection, bot: BenchBot, size: Size) -> BenchRow:
    """Many fills in one statement: the server alone, no client and no commit in between."""
    own.execute(
        "INSERT INTO orders (bot_id, order_id, symbol, side, order_type, quantity, status, source, created_at) "
        "VALUES (%s, 'p16', 'P16USDT', 'buy', 'market', 1e9, 'submitted', 'api', now())", [bot.owner.bot_id],
    )  # fmt: skip
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * size.rounds):
        is_on = number % 2 == 0
        switch(own, is_on)
        name = f"p16-{number}-"
        begin = time.perf_counter()
        own.execute(ONE_BY_ONE, [bot.owner.bot_id, bot.owner.account_id, name, "p16", name, size.rows])
        took[is_on].append((time.perf_counter() - begin) * 1e6 / size.rows)
    switch(own, True)
    value, baseline = statistics.median(took[True]), statistics.median(took[False])
    return row("P16", "one fill of many in a statement, inside the server", value, "us", baseline=baseline)


def _writers(
    own: psycopg.Connection, url: str, options: str, bots: Sequence[BenchBot], size: Size
) -> Iterator[BenchRow]:
    """Whole fills, a transaction each, by eight processes under the bots' login, each as its own bot."""
    took: dict[bool, list[float]] = {True: [], False: []}
    each = [f"{options} -c app.bot_id={bot.owner.bot_id}" for bot in bots]
    hands = [Hand(url, told) for told in each]
    try:
        with Workers(url, each, count=len(bots)) as workers, sealing() as lags:
            for number in range(2 * size.rounds):
                is_on = number % 2 == 0
                switch(own, is_on)
                todo = []
                for bot, hand in zip(bots, hands, strict=True):
                    orders, fills = bot.script.fills(size.fills)
                    hand.write(bot.owner, orders)
                    todo.append(fills)
                took[is_on].append(workers.write([bot.owner for bot in bots], todo))
    finally:
        switch(own, True)
        for hand in hands:
            hand.connection.close()
    count = len(bots) * size.fills
    value, baseline = (statistics.median(took[is_on]) * 1e6 / count for is_on in (True, False))
    yield row("P16", f"a fill by hand, {len(bots)} writers", value, "us", baseline=baseline, at_most=AT_MOST)
    lag = sorted(lags)[max(0, -(-len(lags) * 99 // 100) - 1)]
    yield row("P16", "age of the oldest change without a seal while they write, p99", lag, "s", at_most=LAG_AT_MOST)


def switch(own: psycopg.Connection, is_on: bool) -> None:
    """Switch the trail of what bots write on or off."""
    for table in TABLES:
        names = own.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname LIKE 'trail\\_%%'", [table]
        ).fetchall()
        for (name,) in names:
            own.execute(f"ALTER TABLE {table} {'ENABLE' if is_on else 'DISABLE'} TRIGGER {name}")


@contextmanager
def sealing() -> Iterator[list[float]]:
    """Seal each second, as beside beat, and sample how far behind the seals are."""
    from django.db import connection

    from audit.trail.keys import seal_key
    from audit.trail.sealer import Sealer
    from audit.trail.seals import unsealed

    key = seal_key()
    if key is None:
        raise SystemExit("P16 needs AUDIT_KEY_FILE.")
    sealer, stop = Sealer(key), threading.Event()
    # Whatever waited before the run is none of its lag.
    sealer.turn()
    lags: list[float] = []

    def sample() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            lags.append(unsealed().seconds)
        connection.close()

    sampler = threading.Thread(target=sample)
    sealer.start()
    sampler.start()
    try:
        yield lags
    finally:
        stop.set()
        sampler.join()
        sealer.close()


def _verified(url: str, options: str, size: Size) -> BenchRow:
    """Check the chain over many changes, those of one large statement among them."""
    from audit.trail.chain import one_moment
    from audit.trail.keys import public_keys, seal_key
    from audit.trail.problems import Findings
    from audit.trail.seals import seal
    from audit.trail.verify_seals import verify_seals

    key = seal_key()
    assert key is not None
    seal(key)
    with psycopg.connect(url, autocommit=True, options=options) as own:
        each = size.verified // 10
        for _ in range(10):
            own.execute(
                "INSERT INTO audit.changes (xid, at, actor, login, request_id, reason, table_name, row_id, operation, "
                "form, digest) SELECT pg_current_xact_id()::text::bigint, clock_timestamp(), 'bot:bench', 'bench', "
                "md5(n::text), '', 'bench', n::text, 'insert', 1, sha256(n::text::bytea) FROM generate_series(1, %s) n",
                [each],
            )
            seal(key)
    rates = []
    for _ in range(size.rounds):
        found = Findings()
        begin = time.perf_counter()
        with one_moment(600, reads_only=True) as cursor:
            verify_seals(cursor, found, public_keys(), 0)
        rates.append(found.rows / (time.perf_counter() - begin))
        if found.of_seals:
            raise RuntimeError(f"The chain does not hold: {found.of_seals[0]}")
    # The best round: how fast it is, and not how busy the machine was.
    return row("P16", "changes verified a second, best round", max(rates), "1/s", at_least=VERIFIED_AT_LEAST)
