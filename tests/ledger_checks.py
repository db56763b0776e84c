"""The invariants as a check for any test: a ledger that a test leaves behind must hold."""

from collections.abc import Collection, Iterator

import pytest
from django.db import connection

from bots.services.invariants.run import Report, invariants_run
from tests.factories import HAND_MADE

# Rows of the factories are no registered bots: they have no initial cash flow.
OF_FACTORY_BOTS = ("I22",)
# Which rows stand in the ledger, and in which version. Tests that share a ledger and take back what they do to it leave
# the very same rows behind.
ROWS = " UNION ALL ".join(
    f"SELECT '{table}', count(*), sum(xmin::text::bigint) FROM {table}"
    for table in ("orders", "fills", "positions", "trades", "account_balance", "cash_flows", "parked_facts")
)
_held: list[object] = [None]


def broken_rules(*, without: Collection[str] = ()) -> dict[str, list[dict[str, object]]]:
    """Run every invariant and return the rows that break one, by its name."""
    report = invariants_run()
    return {
        name: found["rows"]
        for name, found in report["invariants"].items()
        if found["count"] and not name.startswith(tuple(without))
    }


def red(report: Report) -> set[str]:
    """Return the names of the invariants that a report found broken."""
    return {name for name, found in report["invariants"].items() if found["count"]}


def assert_ledger_holds(*, without: Collection[str] = ()) -> None:
    """Run every invariant and fail with the rows that break one. without: beginnings of names that do not count."""
    broken = broken_rules(without=without)
    assert not broken, broken


def assert_teardown_ledger_holds() -> None:
    """As assert_ledger_holds, unless no row of the ledger is there or changed since the last time.

    Rows of bots whose ledger was made by hand (tests.factories.HAND_MADE) do not count: no fact stands behind them.
    """
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        rows = cursor.fetchall()
    if rows == _held[0] or not any(count for _, count, _ in rows):
        return
    broken = {
        name: [row for row in rows if not HAND_MADE & {row.get("bot_id"), row.get("owner"), row.get("currency")}]
        for name, rows in broken_rules(without=OF_FACTORY_BOTS).items()
    }
    left = {name: rows for name, rows in broken.items() if rows}
    assert not left, left
    _held[0] = rows


@pytest.fixture
def ledger_holds(db: None) -> Iterator[None]:
    """Check the ledger when the test is over, while its rows are still there."""
    yield
    assert_ledger_holds(without=OF_FACTORY_BOTS)
