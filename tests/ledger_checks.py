"""The invariants as a check for any test: a ledger that a test leaves behind must hold."""

from collections.abc import Collection, Iterator

import pytest

from bots.services.invariants.run import invariants_run

# Rows of the factories are no registered bots: they have no initial cash flow.
OF_FACTORY_BOTS = ("I22",)


def assert_ledger_holds(*, without: Collection[str] = ()) -> None:
    """Run every invariant and fail with the rows that break one. without: beginnings of names that do not count."""
    report = invariants_run()
    broken = {
        name: found["rows"]
        for name, found in report["invariants"].items()
        if found["count"] and not name.startswith(tuple(without))
    }
    assert not broken, broken


@pytest.fixture
def ledger_holds(db: None) -> Iterator[None]:
    """Check the ledger when the test is over, while its rows are still there."""
    yield
    assert_ledger_holds(without=OF_FACTORY_BOTS)
