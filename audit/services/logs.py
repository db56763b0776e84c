"""Log lines as rows."""

import logging
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime

from audit.choices import EventLevel
from audit.models import SystemLog
from tradingdb.lib.logs import redact

LONGEST_TEXT = 10_000
LEVELS = (
    (logging.CRITICAL, EventLevel.CRITICAL),
    (logging.ERROR, EventLevel.ERROR),
    (logging.WARNING, EventLevel.WARNING),
    (logging.INFO, EventLevel.INFO),
)


def log_row(record: logging.LogRecord) -> SystemLog:
    """Return the row of a log record, without secrets, in the form that PostgreSQL can hold."""
    details = {
        "process": f"{record.processName} {record.process}",
        "thread": clean(record.threadName or ""),
        "place": f"{record.module}:{record.lineno}",
    }
    if record.exc_info and record.exc_info[0] is not None:
        # The end says what went wrong.
        details["traceback"] = clean("".join(traceback.format_exception(*record.exc_info)))[-LONGEST_TEXT:]
    return SystemLog(
        timestamp=datetime.fromtimestamp(record.created, UTC),
        level=next((level for number, level in LEVELS if record.levelno >= number), EventLevel.DEBUG),
        component=clean(record.name)[:100] or "root",
        message=clean(record.getMessage())[:LONGEST_TEXT],
        details=details,
    )


def clean(text: str) -> str:
    """Return text without secrets, NUL characters and lone surrogates. Cut it afterwards: half a secret is one too."""
    return redact(text.replace("\x00", "").encode("utf-8", "replace").decode())


def logs_write(rows: Iterable[SystemLog]) -> None:
    """Store log lines."""
    SystemLog.objects.bulk_create(rows)
