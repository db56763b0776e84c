"""Running a transaction again that lost a race, and saying what went wrong when PostgreSQL cannot do it now."""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from psycopg import errors
from psycopg_pool import PoolTimeout

from tradingdb.lib.errors import StorageFull, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

# The first try and three more.
ATTEMPTS = 4
PAUSE_SECONDS = 0.01
# Two that were in each other's way must not meet again.
TRANSIENT = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation)
# A full disk, or a server that takes no writes to keep one from being filled (and a standby, which takes none at all).
FULL = (errors.DiskFull, errors.ReadOnlySqlTransaction)
ENDED = (errors.IdleInTransactionSessionTimeout, errors.TransactionTimeout)
AWAY = (OperationalError, InterfaceError, PoolTimeout)


def is_transient(error: BaseException | None) -> bool:
    """Whether running the same transaction again can succeed: a deadlock, or a lost race for a natural id."""
    return isinstance(error, TRANSIENT)


def pause(attempt: int) -> float:
    """Return the seconds to wait after a lost attempt (from 1 on): a little, never the same, then twice as much."""
    doubled: int = 2 ** (attempt - 1)
    return random.uniform(0.5, 1.5) * PAUSE_SECONDS * doubled  # noqa: S311 (no secret)  # nosec B311


def atomic_retried(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function in a transaction of its own, at most three times more after a deadlock or a lost race.

    Inside the transaction of a caller it runs once: that one is spoilt, and the caller's to run again.
    """
    within = transaction.atomic(function)

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, ATTEMPTS):
            is_nested = connection.in_atomic_block
            try:
                return within(*args, **kwargs)
            except (OperationalError, IntegrityError, errors.Error) as e:
                # COPY raises psycopg's own errors.
                if is_nested or not (is_transient(e) or is_transient(e.__cause__)):
                    raise
            time.sleep(pause(attempt))
        return within(*args, **kwargs)

    return run


def unavailable_of(error: BaseException) -> Unavailable | None:
    """Return the 503 for an error of psycopg, Django or the pool that means "not now"; None for any other error."""
    cause = error.__cause__ if isinstance(error, (DatabaseError, InterfaceError)) else error
    if isinstance(cause, FULL):
        return StorageFull("The database has no room to write; reading goes on. Send the same call again later.")
    if isinstance(error, (*AWAY, errors.OperationalError, errors.InterfaceError)) or isinstance(cause, ENDED):
        return Unavailable("The database cannot take this now; send the same call again.")
    return None


def if_there_is_room(write: Callable[[], object]) -> None:
    """Write what nobody waits for; on a disk without room it is left out, so that reading goes on."""
    try:
        with transaction.atomic():
            write()
    except DatabaseError as e:
        if not isinstance(unavailable_of(e), StorageFull):
            raise
