"""The scheduler of the periodic jobs: any number of beats may run, one of them ticks.

Two beats with a plain scheduler send every job twice. Here a beat sends only while it holds a lock in PostgreSQL; when
it dies, or its connection does, another takes over. A slot that nobody sent is caught up by the services, which look
at what is missing.
"""

import logging
from typing import Any

import psycopg
from celery.beat import PersistentScheduler, ScheduleEntry, SchedulingError
from django.conf import settings
from django.db import connections

from tradingdb.lib.bounds import SOCKET

logger = logging.getLogger(__name__)

STANDBY_SECONDS = 1.0
# A transaction lock in a transaction that stays open, and not a session lock: it holds through PgBouncer's transaction
# pooling too. The server ends the transaction of a beat that has fallen silent.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('tradingdb.beat', 0))"
OPTIONS = "-c idle_in_transaction_session_timeout=60s -c application_name=tradingdb-beat -c statement_timeout=5s"


class BeatLock:
    """A lock that one beat of all holds, on a connection of its own."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None

    def is_held(self) -> bool:
        """Whether the lock is ours now; takes it when it is free. Never raises because PostgreSQL is away."""
        try:
            if self._connection is not None:
                self._connection.execute("SELECT 1")
                return True
            return self._take()
        except psycopg.OperationalError as e:
            if self._connection is not None:
                logger.warning("The beat lost its lock: %s", str(e).strip())
            self.release()
            return False

    def _take(self) -> bool:
        connection = psycopg.connect(**_parameters())
        row = connection.execute(TRY_LOCK).fetchone()
        if row is None or not row[0]:
            connection.close()
            return False
        self._connection = connection
        logger.info("This beat holds the lock and sends the jobs.")
        return True

    def release(self) -> None:
        """Let another beat have the lock."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _parameters() -> dict[str, Any]:
    """Return how Django connects, with a short wait for a server that does not answer."""
    django = connections["default"].get_connection_params()
    return django | SOCKET | ({} if settings.PGBOUNCER else {"options": OPTIONS})


class SingleScheduler(PersistentScheduler):
    """Celery's scheduler behind the lock."""

    # Often enough to notice within seconds that the lock is gone.
    max_interval = 5

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = BeatLock()
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due and return the seconds until the next look; without the lock send nothing."""
        if not self._lock.is_held():
            return STANDBY_SECONDS
        return float(super().tick(*args, **kwargs))  # type: ignore[no-untyped-call]

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send one job; without a broker say so in one line, and leave the job to its next slot."""
        logger.info("Sending due task %s (%s)", entry.name, entry.task)
        try:
            self.apply_async(entry, producer=producer, advance=False)  # type: ignore[no-untyped-call]
        except SchedulingError as e:
            logger.error("%s", e)

    def close(self) -> None:
        super().close()  # type: ignore[no-untyped-call]
        self._lock.release()
