"""What row security costs (P14): the same transaction under a login that it binds and under one that it does not."""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from bench.ledger_rows import BenchBot, LedgerRows
from bench.rows import BenchRow, row

CASES = ("P14",)
AT_MOST = 1.2
ROWS_READ = 1_000
NAME = "SELECT set_config('app.bot_id', %(bot)s, true)"
TAKE_ROLE = "SELECT set_config('role', %(role)s, true)"
READ = "SELECT * FROM fills WHERE bot_id = %(bot)s ORDER BY executed_at DESC LIMIT %(rows)s"


class Size(NamedTuple):
    """How many transactions each side makes. A thousand rows must be there to be read, and half of each warms up."""

    inserts: int
    reads: int


WHOLE, QUICK = Size(inserts=1_500, reads=60), Size(inserts=1_000, reads=4)


class Side:
    """One way to work for a bot: a connection, and what opens each of its transactions."""

    def __init__(self, session: Any, bot: BenchBot, opening: Sequence[str], role: str) -> None:
        self.session, self.bot, self.opening, self.role = session, bot, opening, role
        self.inserts: list[float] = []
        self.reads: list[float] = []
        self._count = 0

    async def insert(self) -> None:
        """Store a fill in a transaction of its own, one round trip."""
        self.inserts.append(await self._measure(self._fill()))

    async def read(self) -> None:
        """Read a thousand fills."""
        from bots.services.plan import Sql

        self.reads.append(await self._measure(Sql(READ, {"bot": self.bot.owner.bot_id, "rows": ROWS_READ})))

    async def _measure(self, statement: Any) -> float:
        """Return the microseconds of one transaction."""
        from bots.services.pipeline import round_trip
        from bots.services.plan import Sql

        names = {"bot": self.bot.owner.bot_id, "role": self.role}
        step = [*(Sql(text, names) for text in self.opening), statement, Sql("COMMIT", {})]
        begin = time.perf_counter_ns()
        answers = await round_trip(self.session, step)
        took = (time.perf_counter_ns() - begin) / 1000
        if not answers[-2]:
            raise RuntimeError("Nothing was stored, or nothing was seen.")
        return took

    def _fill(self) -> Any:
        from bots.services.plan import insert

        self._count += 1
        owner = self.bot.owner
        # The columns that every fill of the API has.
        values = {
            "bot_id": owner.bot_id, "account_id": owner.account_id, "fill_id": f"{id(self)}-{self._count}",
            "order_id": "p14", "symbol": "P14USDT", "side": "buy", "price": 100, "quantity": 1, "fee": 0,
            "fee_currency": "USDT", "exchange_trade_id": f"{id(self)}-{self._count}", "executed_at": datetime.now(UTC),
            "source": "api", "content_hash": b"0" * 32, "fee_rate": 1, "fee_quote": 0, "flags": [],
        }  # fmt: skip
        return insert("fills", values)


def run(*, quick: bool = False) -> Iterator[BenchRow]:
    """Measure each way, with the disk and without."""
    from django.conf import settings

    from tradingdb.lib.db import SEARCH_PATH

    url, bot_url = os.environ.get("DATABASE_URL") or settings.DATABASE_URL, settings.BOT_DATABASE_URL
    if settings.BOT_ROLE is None:
        raise SystemExit("P14 needs BOT_DATABASE_URL: a login that row security binds.")
    options = f"-c search_path={','.join(SEARCH_PATH)} -c timezone=UTC"
    with LedgerRows(url, options, pairs=1) as rows, psycopg.connect(url, options=options) as owner:
        owner.execute(
            "INSERT INTO orders (bot_id, order_id, symbol, side, order_type, quantity, status, source, created_at) "
            "VALUES (%s, 'p14', 'P14USDT', 'buy', 'market', 1e9, 'submitted', 'api', now())",
            [rows.api[0].owner.bot_id],
        )
        owner.commit()
        for suffix, more in (("", ""), (", without waiting for the disk", " -c synchronous_commit=off")):
            yield from asyncio.run(
                _measured(url, bot_url, options + more, rows.api[0], suffix, QUICK if quick else WHOLE)
            )


async def _measured(url: str, bot_url: str, options: str, bot: BenchBot, suffix: str, size: Size) -> list[BenchRow]:
    from django.conf import settings

    role = str(settings.BOT_ROLE)
    named = ("BEGIN", NAME)
    # A session each: a server process that has just worked is faster than one that has not.
    logins = (url, bot_url, url, url)
    openings = (named, named, ("BEGIN", NAME, TAKE_ROLE), ("BEGIN",))
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(await _connect(login, options)) for login in logins]
        sides = [Side(session, bot, opening, role) for session, opening in zip(sessions, openings, strict=True)]
        free, bound, taken, unnamed = sides
        # One transaction each, in turn and in any order: whatever else the machine does meets all sides alike.
        order = random.Random(14)
        for _ in range(size.inserts):
            for side in order.sample(sides, len(sides)):
                await side.insert()
        for _ in range(size.reads):
            for side in order.sample(sides, len(sides)):
                await side.read()
    inserts = {side: statistics.median(side.inserts[size.inserts // 2 :]) for side in sides}
    reads = {side: statistics.median(side.reads[size.reads // 2 :]) for side in sides}
    return [
        _row(f"insert of a fill, row security on{suffix}", inserts[bound], inserts[free], AT_MOST),
        _row(f"the same by SET LOCAL ROLE in the application's session{suffix}", inserts[taken], inserts[free]),
        _row(f"naming the bot, without row security{suffix}", inserts[free], inserts[unnamed]),
        _row(f"{ROWS_READ:,} fills read, row security on{suffix}", reads[bound], reads[free]),
        _row(f"the same by SET LOCAL ROLE{suffix}", reads[taken], reads[free]),
    ]


def _row(case: str, value: float, baseline: float, at_most: float | None = None) -> BenchRow:
    return row("P14", case, value, "us", baseline=baseline, at_most=at_most)


async def _connect(url: str, options: str) -> psycopg.AsyncConnection[dict[str, Any]]:
    return await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row, options=options, prepare_threshold=2
    )
