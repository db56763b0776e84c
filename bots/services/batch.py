"""Batches: many operations in one transaction, each all-or-nothing on its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import psycopg
from django.db import Error as DjangoDatabaseError

from bots.live.publish import LiveUpdate
from bots.services.context import BotContext
from bots.services.locks import lock_admission, lock_many
from bots.services.plan import Outcome, Plan, Sql, TryAgain, within
from tradingdb.lib.errors import DomainError

DATABASE_ERRORS = (psycopg.Error, DjangoDatabaseError)


class Result(TypedDict, total=False):
    """What became of one operation."""

    status: int
    code: str
    id: str
    detail: str
    flags: list[str]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation that was read: how to run it, or why it was malformed."""

    id: str
    make: Callable[[BotContext], Plan[Outcome]] | None
    error: DomainError | None = None
    symbol: str | None = None
    order_id: str | None = None


@dataclass(slots=True)
class Batch:
    """Operations in their order. First they run without savepoints, which costs nothing; if the database refuses one,
    all run again, each within a savepoint of its own, and only that one fails."""

    operations: Sequence[Operation]
    is_careful: bool = field(default=False)

    def plan(self, bot: BotContext) -> Plan[Outcome]:
        """Run every operation and answer with a result for each."""
        symbols = sorted({op.symbol for op in self.operations if op.symbol})
        orders = sorted({op.order_id for op in self.operations if op.order_id})
        # Admission first, as a single request takes it, so that the two cannot wait for each other.
        locks = [lock_admission(bot.bot_id)] if symbols else []
        if symbols or orders:
            yield [*locks, lock_many(bot.bot_id, symbols, orders)]
        results: list[Result] = []
        updates: list[LiveUpdate] = []
        for operation in self.operations:
            outcome = yield from self._one(bot, operation)
            results.append(_result(operation, outcome))
            if isinstance(outcome, Outcome):
                updates += outcome.updates
        return Outcome(200, {"results": results}, updates=tuple(updates))

    def _one(self, bot: BotContext, operation: Operation) -> Plan[Outcome | DomainError]:
        if operation.make is None:
            assert operation.error is not None
            return operation.error
        if self.is_careful:
            yield [Sql("SAVEPOINT operation", {})]
        try:
            outcome = yield from within(operation.make(bot))
        except DomainError as e:
            return e
        except DATABASE_ERRORS as e:
            if not self.is_careful:
                self.is_careful = True
                raise TryAgain from e
            yield [Sql("ROLLBACK TO SAVEPOINT operation", {}), Sql("RELEASE SAVEPOINT operation", {})]
            return NotStored("The database refused the operation.")
        if self.is_careful:
            yield [Sql("RELEASE SAVEPOINT operation", {})]
        return outcome


class NotStored(DomainError):
    """One operation of a batch that a constraint of the database refused."""

    code = "not_stored"
    http_status = 422


def _result(operation: Operation, outcome: Outcome | DomainError) -> Result:
    if isinstance(outcome, DomainError):
        return {"status": outcome.http_status, "code": outcome.code, "id": operation.id, "detail": outcome.message}
    if outcome.error is not None:
        return _result(operation, outcome.error)
    result: Result = {"status": outcome.status, "id": operation.id}
    flags = outcome.body.get("flags")
    if flags:
        result["flags"] = flags
    return result
