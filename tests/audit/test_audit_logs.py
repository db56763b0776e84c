"""What processes log becomes rows, and whoever logs never waits and never fails."""

import logging
import os
from collections.abc import Iterator

import pytest
from django.db import connection

from audit import log_handler
from audit.log_handler import SystemLogHandler
from audit.models import SystemLog

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "tdb_live_abcdefghijkl." + "s" * 43


@pytest.fixture
def handler(monkeypatch) -> Iterator[SystemLogHandler]:
    """A handler that gathers and pauses no longer than a test has patience."""
    monkeypatch.setattr(log_handler, "GATHER_SECONDS", 0.05)
    monkeypatch.setattr(log_handler, "PAUSE_SECONDS", 0.05)
    made = SystemLogHandler()
    yield made
    made.close()


@pytest.fixture
def logger(handler) -> Iterator[logging.Logger]:
    """A logger that only the handler hears."""
    made = logging.getLogger("tests.audit.logs")
    made.propagate = False
    made.addHandler(handler)
    yield made
    made.removeHandler(handler)
    made.propagate = True


def lines():
    return list(SystemLog.objects.order_by("timestamp", "id").values_list("level", "message"))


def test_warnings_and_worse_become_rows(handler, logger):
    logger.info("not this")
    logger.warning("half of %s", "it")
    logger.critical("all of it")

    handler.close()

    assert lines() == [("WARNING", "half of it"), ("CRITICAL", "all of it")]
    row = SystemLog.objects.first()
    assert row.component == "tests.audit.logs"
    assert row.details["place"].startswith("test_audit_logs:")
    assert str(os.getpid()) in row.details["process"]


def test_a_traceback_is_kept_and_secrets_are_not(handler, logger):
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError:
        logger.exception("Bearer abcdefgh12345678 and redis://u:hunter2@host")

    handler.close()

    row = SystemLog.objects.get()
    assert row.message == "Bearer *** and redis://u:***@host"
    assert row.details["traceback"].rstrip().endswith("ValueError: bad tdb_live_abcdefghijkl.***")
    assert "s" * 43 not in str(row.details)


def test_text_that_postgresql_cannot_hold_is_made_holdable(handler):
    # Straight to the handler: pytest keeps what a logger says, and cannot send a surrogate from process to process.
    text = "nul \x00 surrogate \ud800 " + "x" * 20_000
    handler.handle(logging.LogRecord("x", logging.WARNING, "p", 1, text, None, None))

    handler.close()

    [(_, message)] = lines()
    assert message.startswith("nul  surrogate ? xxx")
    assert len(message) == 10_000


def test_a_record_that_cannot_be_formatted_does_not_reach_the_caller(handler, logger):
    handler.handle(logging.LogRecord("x", logging.WARNING, "p", 1, "%d pieces", ("seven",), None))
    logger.warning("after it")

    handler.close()

    assert lines()[0] == ("WARNING", "after it")
    assert "1 lines could not be kept" in lines()[1][1]


def test_a_flood_is_dropped_and_counted(handler, logger, monkeypatch):
    monkeypatch.setattr(log_handler, "GATHER_SECONDS", 5)
    for number in range(log_handler.CAPACITY + 500):
        logger.warning("line %d", number)

    handler.close()

    kept = SystemLog.objects.filter(message__startswith="line").count()
    # The writer may have taken the first one out before the queue was full.
    assert kept in (log_handler.CAPACITY, log_handler.CAPACITY + 1)
    [told] = SystemLog.objects.filter(component="audit.log_handler")
    assert told.message.startswith(f"{log_handler.CAPACITY + 500 - kept} lines")


def test_what_the_database_refuses_is_counted_and_later_lines_are_kept(handler, logger):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE system_logs RENAME TO system_logs_away")
    try:
        logger.warning("lost")
        while handler._lost == 0:
            os.sched_yield()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit.system_logs_away RENAME TO system_logs")

    logger.warning("kept")
    handler.close()

    assert sorted(lines()) == [
        ("WARNING", "1 lines could not be kept here; the log files have them."),
        ("WARNING", "kept"),
    ]


def test_what_the_driver_says_of_a_database_that_is_away_is_not_heard(handler):
    handler.handle(logging.LogRecord("psycopg.pool", logging.WARNING, "p", 1, "error connecting", (), None))

    handler.close()

    assert lines() == []


def test_a_closed_handler_hears_nothing_and_closing_twice_is_no_error(handler, logger):
    logger.warning("before")
    handler.close()
    handler.close()
    logger.warning("after")

    assert lines() == [("WARNING", "before")]


def test_a_forked_process_keeps_its_own_lines(handler, logger):
    logger.warning("parent")
    child = os.fork()
    if child == 0:
        logger.warning("child")
        handler.close()
        os._exit(0)
    os.waitpid(child, 0)
    handler.close()

    assert sorted(lines()) == [("WARNING", "child"), ("WARNING", "parent")]
