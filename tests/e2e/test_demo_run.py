"""The demo beside a running instance: it trades, survives what dies, and its books are the ledger's."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from demo.registry import BOTS
from tests.e2e.checks import assert_all_show_the_same, assert_ledger_is_clean
from tests.e2e.running import (
    LOGS,
    PATIENCE,
    Running,
    every_page,
    log_complaints,
    raised,
    spooled_bytes,
    start_demo,
)
from tradingdb.services.processes import wait_until

BOT_IDS = sorted(bot.bot_id for bot in BOTS)
# Four candles a second, the fastest the demo goes.
SPEED = "14400"
# A bot takes what it holds from the API, where money has 18 decimals and the ledger 36.
LAST_DIGITS = Decimal("1e-12")
# What a process may meet while the server it talks to is being killed.
OF_A_KILLED_SERVER = ("OperationalError", "InterfaceError", "ConnectionError", "ConnectionRefused", "ConnectionReset",
                      "AdminShutdown", "CrashShutdown", "PoolTimeout", "TimeoutError")  # fmt: skip


@pytest.fixture(scope="module")
def prepared(instance: Running) -> str:
    """The instance has the demo's bots and their past; the value is the last UTC day of it."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    instance.manage("prepare_demo")
    return yesterday.isoformat()


@pytest.fixture
def demo(instance: Running, prepared: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The demo, running."""
    process = start_demo(instance, SPEED)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def test_the_past_of_the_demo_fills_every_chart(instance: Running, prepared: str):
    days = instance.sql(
        """SELECT count(DISTINCT (exit_time AT TIME ZONE 'UTC')::date), count(DISTINCT bot_id) FROM trading.trades
        WHERE exit_time IS NOT NULL"""
    )
    metrics = instance.sql("SELECT DISTINCT bot_id FROM trading.risk_metrics WHERE date >= %s ORDER BY 1", prepared)

    ((with_trades, bots),) = days
    assert with_trades >= 60
    assert bots == len(BOTS)
    assert [bot_id for (bot_id,) in metrics] == BOT_IDS
    assert_ledger_is_clean(instance)


def test_the_demo_trades_through_kills_and_its_books_are_the_ledgers(
    instance: Running, staff_token: str, demo: "subprocess.Popen[bytes]"
):
    began = datetime.now(UTC)
    sizes = dict.fromkeys(LOGS, 0)

    assert wait_until(lambda: len(traders_since(instance, began)) >= 2, PATIENCE), "two bots have not traded"
    assert {name: log_complaints(instance.log_since(name, sizes)) for name in LOGS} == {name: [] for name in LOGS}

    sizes = instance.log_sizes()
    for name in ("web", "postgres"):
        instance.kill(name)
        recovered = datetime.now(UTC)
        assert wait_until(lambda at=recovered: all_beat_since(instance, at), PATIENCE), f"a bot is away after {name}"
    spools = instance.state.root / "demo" / "spool"
    assert wait_until(lambda: spooled_bytes(spools) == {}, PATIENCE), spooled_bytes(spools)
    again = datetime.now(UTC)
    assert wait_until(lambda: len(traders_since(instance, again)) >= 1, PATIENCE), "no trade after the kills"
    demo.terminate()
    assert demo.wait(PATIENCE) == 0

    assert log_complaints(instance.log_since("demo", sizes)) == []
    unexplained = [
        line
        for name in ("web", "worker", "beat")
        for line in raised(instance.log_since(name, sizes))
        if not any(word in line.split(":")[0] for word in OF_A_KILLED_SERVER)
    ]
    assert unexplained == []
    assert_spools_are_empty(spools)
    assert_ledger_is_clean(instance)
    assert_all_show_the_same(instance, staff_token)
    assert_balances_are_the_ledgers(instance, staff_token)


def traders_since(instance: Running, moment: datetime) -> set[str]:
    """The demo's bots with a round trip that began and ended since then."""
    query = "SELECT DISTINCT bot_id FROM trading.trades WHERE entry_time >= %s AND exit_time IS NOT NULL"
    return {row[0] for row in instance.sql(query, moment)} & set(BOT_IDS)


def all_beat_since(instance: Running, moment: datetime) -> bool:
    """Whether each of the demo's bots has told since then that it lives."""
    query = "SELECT count(*) FROM trading.bots WHERE bot_id = ANY (%s) AND last_heartbeat > %s"
    return instance.sql(query, BOT_IDS, moment) == [(len(BOT_IDS),)]


def assert_spools_are_empty(folder: Path) -> None:
    """Nothing waits on a bot's disk and nothing was refused."""
    assert sorted(file.name for file in folder.glob("*.jsonl")) == [f"{bot_id}.jsonl" for bot_id in BOT_IDS]
    assert spooled_bytes(folder) == {}


def assert_balances_are_the_ledgers(instance: Running, staff_token: str) -> None:
    """What each bot said last it has is its capital, what its positions realised, and what its fills cost."""
    with instance.api(staff_token) as api:
        for bot in BOTS:
            newest = api.get("/balances", params={"bot_id": bot.bot_id, "limit": "1"}).json()["items"][0]
            ((realised, fees),) = instance.sql(
                """SELECT (SELECT sum(realized_pnl) FROM trading.positions WHERE bot_id = %s),
                    (SELECT sum(fee_quote) FROM trading.fills WHERE bot_id = %s)""",
                bot.bot_id, bot.bot_id,
            )  # fmt: skip
            expected = bot.initial_capital + realised - fees
            assert abs(Decimal(newest["total_balance"]) - expected) < LAST_DIGITS, bot.bot_id
            told = sum(Decimal(fill["fee"]) for fill in every_page(api, "/fills", bot_id=bot.bot_id))
            assert told == fees, bot.bot_id
