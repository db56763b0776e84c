"""A run sees the ledger at one moment, whatever is written meanwhile. Transactions are real here, and committed."""

import random
import threading
from collections.abc import Callable
from datetime import datetime

import pytest
from django.db import connection

import bots.services.invariants.run as runs
from bots.services.invariants.base import Findings, Invariant
from bots.services.invariants.run import invariants, invariants_run
from tests.bots.ledger_tools import add_fill, place
from tests.bots.rich_ledger import execute, registered

pytestmark = pytest.mark.django_db(transaction=True)


def red(report: runs.Report) -> set[str]:
    return {name for name, found in report["invariants"].items() if found["count"]}


def in_another_connection(work: Callable[[], object]) -> threading.Thread:
    """Begin work in a thread, with a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.unsound_ledger("changed by hand while it is looked at")
def test_all_questions_see_the_ledger_at_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    bot = registered("moment_001")
    place(bot, "o1", "buy", "1")
    add_fill(bot, "f1", "o1", "10", "1")
    real = invariants()

    def spoil(since: datetime | None) -> Findings:
        # The first question fixes the moment.
        execute("SELECT 1")
        in_another_connection(lambda: execute("UPDATE positions SET fees = fees + 1")).join()
        return {"count": 0, "rows": []}

    monkeypatch.setattr(runs, "invariants", lambda: [Invariant("spoil", "", spoil), *real])

    during, after = invariants_run(), invariants_run()

    assert red(during) == set()
    assert "I10_position_pnl_and_fees_are_sums_over_fills" in red(after)


def test_bots_that_go_on_reporting_never_make_a_run_red() -> None:
    bot = registered("busy_001")
    place(bot, "buy", "buy", "1000")
    place(bot, "sell", "sell", "1000")
    source = random.Random(3)
    begun, enough = threading.Event(), threading.Event()

    def report() -> None:
        for number in range(1000):
            if enough.is_set():
                break
            # Some come late, so that whole chains are folded anew.
            side, minute = source.choice(["buy", "sell"]), source.randint(0, 90)
            add_fill(
                bot, f"f{number}", side, str(source.randint(90, 110)), str(source.randint(1, 5)), minute, fee="0.1"
            )
            begun.set()

    thread = in_another_connection(report)
    assert begun.wait(60)
    reports = [invariants_run() for _ in range(6)]
    enough.set()
    thread.join()
    reports.append(invariants_run())

    assert [red(one) for one in reports if not one["ok"]] == []
