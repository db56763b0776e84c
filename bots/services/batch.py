"""Batches: many operations in one transaction, each all-or-nothing on its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import psycopg
from django.db import Error as DjangoDatabaseError

from bots.choices import FactKind
from bots.ledger.facts import Fact
from bots.services.balances import record_balances
from bots.services.context import BotContext
from bots.services.events import record_each_event
from bots.services.fill_runs import record_fills
from bots.services.locks import lock_admission, lock_many
from bots.services.order_sets import record_all_news, record_reports
from bots.services.plan import Last, Outcome, Plan, Sql, TryAgain, within
from bots.services.risk import lock_limits
from bots.services.sets import End
from bots.services.signals import record_signals
from bots.services.stretches import stretches_of
from tradingdb.lib.errors import DomainError
from tradingdb.lib.retry import unavailable_of

# Kinds whose operations touch nothing but their own row.
STANDING_ALONE = frozenset({FactKind.SIGNAL, FactKind.BALANCE, FactKind.EVENT})
# How many facts of a kind are told together.
TOGETHER: Mapping[str, Callable[[BotContext, Any], Plan[list[End]]]] = {
    FactKind.SIGNAL: record_signals,
    FactKind.BALANCE: record_balances,
    FactKind.EVENT: record_each_event,
    FactKind.ORDER: record_reports,
    FactKind.ORDER_UPDATE: record_all_news,
    FactKind.FILL: record_fills,
}
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
    # What can be told together with others of its kind: no request for an order, no fill that brings its order along.
    fact: Fact | None = None


Ends = dict[int, End]
# The numbers of the operations that a plan is for.
Numbers = tuple[int, ...]
Many = Plan[list[End]]
Running = dict[Numbers, tuple[Many, Sequence[Sql]]]


@dataclass(slots=True)
class Batch:
    """Operations in their order. First they run without savepoints and with as few round trips as their order
    allows; if the database refuses one, all run again, each within a savepoint of its own, and only that one fails."""

    operations: Sequence[Operation]
    is_careful: bool = field(default=False)

    def plan(self, bot: BotContext) -> Plan[Outcome]:
        """Run every operation and answer with a result for each."""
        locks = self._locks(bot)
        ends: Ends = {}
        if self.is_careful:
            if locks:
                yield locks
            for number in range(len(self.operations)):
                ends[number] = yield from self._within_savepoint(bot, self.operations[number])
        else:
            try:
                alone, chained = self._split()
                yield from self._together(bot, alone, ends, locks)
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

    def _locks(self, bot: BotContext) -> list[Sql]:
        symbols = sorted({op.symbol for op in self.operations if op.symbol})
        orders = sorted({op.order_id for op in self.operations if op.order_id})
        if not symbols and not orders:
            return []
        many = lock_many(bot.bot_id, symbols, orders)
        # Admission first, as a single request takes it, so that the two cannot wait for each other.
        return [lock_admission(bot.bot_id), many, lock_limits(symbols)] if symbols else [many]

    def _split(self) -> tuple[list[Numbers], list[Numbers]]:
        """Return the operations that touch nothing of each other, and the rest, whose order counts: each a list of
        those that are told together."""
        alone: dict[str, list[int]] = {}
        malformed: list[Numbers] = []
        chained: list[int] = []
        seen: set[tuple[str, str]] = set()
        for number, operation in enumerate(self.operations):
            key = (operation.kind, operation.id)
            if operation.make is None:
                malformed.append((number,))
                continue
            is_alone = operation.kind in STANDING_ALONE and operation.fact is not None and key not in seen
            seen.add(key)
            (alone.setdefault(operation.kind, []) if is_alone else chained).append(number)
        stretches = stretches_of([(number, self.operations[number].fact) for number in chained])
        return malformed + [tuple(numbers) for numbers in alone.values()], stretches

    def _together(self, bot: BotContext, groups: Sequence[Numbers], ends: Ends, locks: list[Sql]) -> Plan[None]:
        """Step plans side by side: the statements of all travel in one round trip, behind the locks of the batch."""
        running: Running = {}
        for numbers in groups:
            self._begin(bot, numbers, running, ends)
        while running or locks:
            rows = yield [*locks, *(statement for _, step in running.values() for statement in step)]
            at, going = len(locks), running
            running, locks = {}, []
            for own, (plan, step) in going.items():
                _advance(own, plan, rows[at : at + len(step)], running, ends)
                at += len(step)

    def _overlapping(self, bot: BotContext, groups: Sequence[Numbers], ends: Ends) -> Plan[None]:
        """Run plans one after another; the last step of each travels with the first step of the next.

        The database executes them in that order, so the next one sees what the one before it wrote.
        """
        last: Running = {}
        for own in groups:
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
            rows = yield Last(step)
            _advance(own, plan, rows, {}, ends)

    def _begin(self, bot: BotContext, numbers: Numbers, running: Running, ends: Ends) -> None:
        first = self.operations[numbers[0]]
        if len(numbers) > 1:
            facts = [self.operations[number].fact for number in numbers]
            _advance(numbers, TOGETHER[first.kind](bot, facts), None, running, ends)
        elif first.make is not None:
            _advance(numbers, _alone(first.make(bot)), None, running, ends)
        else:
            assert first.error is not None
            ends[numbers[0]] = first.error

    def _within_savepoint(self, bot: BotContext, operation: Operation) -> Plan[End]:
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
