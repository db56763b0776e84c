"""Keeps what is logged at WARNING and above as rows, without ever holding up or failing whoever logs."""

import logging
import os
import queue
import threading
from weakref import WeakMethod

from django.db import connection
from django.utils import timezone

from audit.choices import EventLevel
from audit.models import SystemLog
from audit.services.logs import log_row, logs_write

CAPACITY = 1000
BATCH = 200
# How long lines are gathered, and how long a failure makes the writer wait.
GATHER_SECONDS = 1.0
PAUSE_SECONDS = 5.0
CLOSE_SECONDS = 3.0
# What the driver's pool says of a database that is away: trying to keep it would make the pool say more.
UNHEARD = "psycopg"


class SystemLogHandler(logging.Handler):
    """Hands lines to a thread of its own through a queue with a bound.

    What does not fit, and what the database does not take, is dropped and counted; the log files have it. The count is
    kept as a line as soon as one can be written. What the thread itself logs is not heard.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._start_afresh()
        # A process that is forked has neither the thread nor a lock it can trust.
        afresh = WeakMethod(self._start_afresh)
        os.register_at_fork(after_in_child=lambda: (method := afresh()) and method())

    def _start_afresh(self) -> None:
        self._lines: queue.Queue[SystemLog | None] = queue.Queue(CAPACITY)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = 0
        self._lost_lock = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        if threading.current_thread() is self._thread or record.name.startswith(UNHEARD) or self._closing.is_set():
            return
        try:
            self._lines.put_nowait(log_row(record))
            self._ensure_thread()
        except Exception:  # a full queue, a record that cannot be formatted, a process that ends: never the caller's
            self._lose(1)

    def _ensure_thread(self) -> None:
        """Start the writer with the first line; called under the handler's lock."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="system log", daemon=True)
            self._thread.start()

    def _lose(self, number: int) -> None:
        with self._lost_lock:
            self._lost += number

    def _take_lost(self) -> int:
        with self._lost_lock:
            lost, self._lost = self._lost, 0
        return lost

    def _run(self) -> None:
        is_over = False
        while not is_over:
            rows, is_over = self._gather()
            lost = self._take_lost()
            try:
                logs_write([*rows, _count_of(lost)] if lost else rows)
            except Exception:  # whatever it is: to log it would come back here
                self._lose(lost + len(rows))
                self._closing.wait(PAUSE_SECONDS)
            finally:
                connection.close()

    def _gather(self) -> tuple[list[SystemLog], bool]:
        """Wait for a line, and a second for more; return them, and whether the handler was closed behind them."""
        rows: list[SystemLog] = []
        line = self._lines.get()
        while line is not None:
            rows.append(line)
            if len(rows) == 1:
                self._closing.wait(GATHER_SECONDS)
            if len(rows) == BATCH or self._lines.empty():
                return rows, False
            # Nobody else takes lines out.
            line = self._lines.get()
        return rows, True

    def close(self) -> None:
        """Write what is queued, as far as that takes seconds, and end the thread. Later lines are not heard."""
        is_first, thread = not self._closing.is_set(), self._thread
        self._closing.set()
        if is_first and thread is not None and thread.is_alive():
            try:
                self._lines.put(None, timeout=CLOSE_SECONDS)
            except queue.Full:
                # The database takes nothing; the thread dies with the process.
                pass
            else:
                thread.join(timeout=CLOSE_SECONDS)
        super().close()


def _count_of(lost: int) -> SystemLog:
    return SystemLog(
        timestamp=timezone.now(),
        level=EventLevel.WARNING,
        component=__name__,
        message=f"{lost} lines could not be kept here; the log files have them.",
    )
