"""Batches: many operations in one transaction, each all-or-nothing on its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import psycopg
from django.db import Error as DjangoDatabaseError

from bots.choices import FactKind
from bots.ledger.facts import NewFill
from bots.services.context import BotContext
from bots.services.fill_runs import is_run, record_run
from bots.services.locks import lock_admission, lock_many
from bots.services.plan import Last, Outcome, Plan, Sql, TryAgain, within
from tradingdb.lib.errors import DomainError
from tradingdb.lib.retry import unavailable_of

# Kinds whose operations touch nothing but their own row.
STANDING_ALONE = frozenset({FactKind.SIGNAL, FactKind.BALANCE, FactKind.EVENT})
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

    kind: str
    id: str
    make: Callable[[BotContext], Plan[Outcome]] | None
    error: DomainError | None = None
    symbol: str | None = None
    order_id: str | None = None
    # A fill that brings no order along: several of one order are told together.
    fill: NewFill | None = None


Ends = dict[int, Outcome | DomainError]
# The numbers of the operations that a plan is for: one, or those of a run of fills.
Numbers = tuple[int, ...]
Many = Plan[list[Outcome | DomainError]]
Running = dict[Numbers, tuple[Many, Sequence[Sql]]]


@dataclass(slots=True)
class Batch:
    """Operations in their order. First they run without savepoints and with as few round trips as their order
    allows; if the database refuses one, all run again, each within a savepoint of its own, and only that one fails."""

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
        ends: Ends = {}
        if self.is_careful:
            for number in range(len(self.operations)):
                ends[number] = yield from self._within_savepoint(bot, self.operations[number])
        else:
            try:
                alone, chained = self._split()
                yield from self._together(bot, alone, ends)
                yield from self._overlapping(bot, chained, ends)
            except DATABASE_ERRORS as e:
                if unavailable_of(e) is not None:
                    raise
                self.is_careful = True
                raise TryAgain from e
        outcomes = [ends[number] for number in range(len(self.operations))]
        updates = [update for outcome in outcomes if isinstance(outcome, Outcome) for update in outcome.updates]
        results = [_result(op, outcome) for op, outcome in zip(self.operations, outcomes, strict=True)]
        return Outcome(200, {"results": results}, updates=tuple(updates))

    def _split(self) -> tuple[list[int], list[int]]:
        """Return the operations that touch nothing of each other, and the rest, whose order counts."""
        alone: list[int] = []
        chained: list[int] = []
        seen: set[tuple[str, str]] = set()
        for number, operation in enumerate(self.operations):
            key = (operation.kind, operation.id)
            is_alone = operation.kind in STANDING_ALONE and key not in seen
            seen.add(key)
            (alone if is_alone else chained).append(number)
        return alone, chained

    def _together(self, bot: BotContext, numbers: Sequence[int], ends: Ends) -> Plan[None]:
        """Step operations side by side: the statements of all travel in one round trip."""
        running: Running = {}
        for number in numbers:
            self._begin(bot, (number,), running, ends)
        while running:
            rows = yield [statement for _, step in running.values() for statement in step]
            at, going = 0, running
            running = {}
            for own, (plan, step) in going.items():
                _advance(own, plan, rows[at : at + len(step)], running, ends)
                at += len(step)

    def _overlapping(self, bot: BotContext, numbers: Sequence[int], ends: Ends) -> Plan[None]:
        """Run operations one after another; the last step of each travels with the first step of the next.

        The database executes them in that order, so the next one sees what the one before it wrote.
        """
        last: Running = {}
        for own in self._runs(numbers):
            running: Running = {}
            self._begin(bot, own, running, ends)
            while running:
                plan, step = running.pop(own)
                if isinstance(step, Last) and not last:
                    last[own] = (plan, step)
                    break
                before = [statement for _, queued in last.values() for statement in queued]
                rows = yield [*before, *step]
                for queued_own, (queued_plan, _) in last.items():
                    _advance(queued_own, queued_plan, rows[: len(before)], running, ends)
                last = {}
                _advance(own, plan, rows[len(before) :], running, ends)
        for own, (plan, step) in last.items():
            rows = yield list(step)
            _advance(own, plan, rows, {}, ends)

    def _runs(self, numbers: Sequence[int]) -> list[Numbers]:
        """Return the operations one by one, fills that follow each other and can be a run together."""
        runs: list[Numbers] = []
        for number in numbers:
            fill = self.operations[number].fill
            before = [self.operations[other].fill for other in runs[-1]] if runs and fill else []
            if before and is_run([one for one in (*before, fill) if one is not None]) and before[0] is not None:
                runs[-1] += (number,)
            else:
                runs.append((number,))
        return runs

    def _begin(self, bot: BotContext, numbers: Numbers, running: Running, ends: Ends) -> None:
        operations = [self.operations[number] for number in numbers]
        fills = [operation.fill for operation in operations if operation.fill is not None]
        if len(fills) > 1:
            _advance(numbers, record_run(bot, fills), None, running, ends)
        elif (make := operations[0].make) is not None:
            _advance(numbers, _alone(make(bot)), None, running, ends)
        else:
            error = operations[0].error
            assert error is not None
            ends[numbers[0]] = error

    def _within_savepoint(self, bot: BotContext, operation: Operation) -> Plan[Outcome | DomainError]:
        if operation.make is None:
            assert operation.error is not None
            return operation.error
        yield [Sql("SAVEPOINT operation", {})]
        try:
            outcome = yield from within(operation.make(bot))
        except DomainError as e:
            outcome = Outcome(e.http_status, {}, error=e)
        except DATABASE_ERRORS as e:
            if unavailable_of(e) is not None:
                # Not this operation is at fault: a full disk, a deadlock, a lock held too long. All are sent again.
                raise
            yield [Sql("ROLLBACK TO SAVEPOINT operation", {}), Sql("RELEASE SAVEPOINT operation", {})]
            return NotStored("The database refused the operation.")
        yield [Sql("RELEASE SAVEPOINT operation", {})]
        return outcome


def _alone(plan: Plan[Outcome]) -> Many:
    return [(yield from plan)]


def _advance(numbers: Numbers, plan: Many, rows: Any, running: Running, ends: Ends) -> None:
    """Give a plan its rows: it goes on with its next step, or it ends."""
    try:
        running[numbers] = (plan, plan.send(rows))
    except StopIteration as stop:
        ends.update(zip(numbers, stop.value, strict=True))
    except DomainError as e:
        ends.update(dict.fromkeys(numbers, e))


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
