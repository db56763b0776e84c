"""Every test that leaves rows of the ledger behind leaves a ledger in which every invariant holds."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import OperationalError
from django.db.backends.postgresql.creation import DatabaseCreation
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import TransactionTestCase

from tests.e2e.disk import LEFT_OUT, may_mount
from tests.emptying import Emptying
from tests.factories import HAND_MADE
from tests.ledger_checks import assert_teardown_ledger_holds

# Where services write the ledger; elsewhere rows are made by hand, for what reads them.
WRITERS = {"api", "bots", "bounds", "chaos", "client", "demo", "live"}
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_reset_sequences"}


@pytest.fixture(autouse=True, scope="session")
def database_goes_in_the_end() -> None:
    """Remove the test database also while a thread or process of a test is still connected to it, or connects anew."""
    original = DatabaseCreation._destroy_test_db

    def destroy(self: DatabaseCreation, test_database_name: str, verbosity: int) -> None:
        try:
            original(self, test_database_name, verbosity)
        except OperationalError:
            with self._nodb_cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{test_database_name}" WITH (FORCE)')

    DatabaseCreation._destroy_test_db = destroy  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def ledger_holds_at_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ask every invariant when the test is over, while its rows are still there.

    Marked `unsound_ledger(reason)` a test may leave rows behind that hold no invariant.
    """
    HAND_MADE.clear()
    is_exempt = request.node.get_closest_marker("unsound_ledger") is not None
    has_database = request.node.get_closest_marker("django_db") or DATABASE_FIXTURES & {*request.fixturenames}
    if is_exempt or not has_database or request.node.path.parent.name not in WRITERS:
        yield
        return
    # Set up before us, the test's database is taken down after us.
    request.getfixturevalue("_django_db_helper")
    yield
    assert_teardown_ledger_holds()


@pytest.fixture(autouse=True, scope="session")
def trail_may_be_flushed() -> Iterator[None]:
    """Let Django empty the tables between tests: the audit trail's own triggers would refuse, and record it."""
    original = DatabaseOperations.sql_flush

    def flush(self: DatabaseOperations, style: Any, tables: Sequence[str], **options: Any) -> list[str]:
        names = ("changes", "seals")
        said = original(self, style, tables, **options)
        # A hypertable's triggers cannot be switched off.
        away = [f"DROP TRIGGER deny_truncate ON {name}" for name in names]
        back = [
            f"CREATE TRIGGER deny_truncate BEFORE TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit.deny_change()"
            for name in names
        ]
        return [*away, *said, *(f"TRUNCATE {name}" for name in names), *back] if said else []

    DatabaseOperations.sql_flush = flush  # type: ignore[method-assign]
    yield
    DatabaseOperations.sql_flush = original  # type: ignore[method-assign]


@pytest.fixture(autouse=True, scope="session")
def emptied_quickly(trail_may_be_flushed: None) -> Iterator[None]:
    """Empty the database after a test that commits by what the test left there."""
    original, emptying = TransactionTestCase._fixture_teardown, Emptying()

    def teardown(self: TransactionTestCase) -> None:
        emptying.empty(lambda: original(self))

    TransactionTestCase._fixture_teardown = teardown
    yield
    TransactionTestCase._fixture_teardown = original


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests as tests/sharing.py says."""
    from tests.sharing import Sharing

    return Sharing(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out because this machine cannot do it."""
    if not may_mount():
        terminalreporter.write_line(LEFT_OUT, yellow=True)
