"""Every decision between a call and its outcome: attempts, waits, the spool, the permit. It does no network I/O itself.

A flow is a generator. It yields what is to be done (`Send`, `Pause`, `Disk`), gets the result or the exception back,
and returns the outcome. `Client` and `AsyncClient` run the same flows, one with blocking calls, the other with awaits.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx

from . import calls
from .answers import Answer, Flushed, PermitState
from .errors import ApiError, ClientError, NoPermit, RateLimited, Unauthorized, Unavailable, is_final
from .permits import PermitKeeper
from .protocol import Call, Lane, judge, read_ack
from .spool import Record, Spool
from .wire import json_bytes

T = TypeVar("T")
logger = logging.getLogger("tradingdb_client")

# A server that asks for a longer wait than this gets no attempt more; the caller decides.
LONGEST_RETRY_AFTER = 60.0
# One write delivers at most so many waiting facts, so that a long backlog never holds up a bot.
FACTS_PER_WRITE = 500


@dataclass(frozen=True)
class Send:
    """Send a call; the result is the response, the exception an httpx.RequestError."""

    call: Call[Any]


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Disk:
    """Do something that waits for the disk."""

    work: Callable[[], None]


Step = Send | Pause | Disk
Flow = Generator[Step, Any, T]


@dataclass(frozen=True)
class Pace:
    """How long to wait between attempts, in seconds: doubling from `first` to `longest`, half of it at random."""

    first: float = 0.25
    longest: float = 10.0
    jitter: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def wait(self, attempt: int) -> float:
        """Return the wait after the given attempt, counted from 0."""
        full = min(self.longest, self.first * 2.0 ** min(attempt, 30))
        return full * (0.5 + 0.5 * self.jitter())


DEFAULT_PACE = Pace()


class Courier:
    """The state one client keeps between its calls, and the flows of its calls."""

    def __init__(self, *, retries: int, spool: Spool | None, pace: Pace) -> None:
        self.spool = spool
        self._retries = retries
        self._pace = pace
        self._permits = PermitKeeper()
        self._next_try_at = 0.0

    def perform(self, call: Call[T]) -> Flow[T]:
        """Bring one call to its outcome, facts that wait first."""
        if self.spool is not None and call.lane is Lane.FACT:
            return call.read((yield from self._deliver_or_keep(call, self.spool)))
        if self.spool is not None and call.lane is not Lane.READ:
            hindrance = yield from self._deliver_waiting(self.spool)
            if call.lane is Lane.COMMAND and hindrance is not None:
                raise hindrance
        if call.needs_permit:
            return (yield from self._perform_permitted(call))
        return call.read((yield from self._attempts(call, retries=self._retries)))

    def _perform_permitted(self, call: Call[T]) -> Flow[T]:
        """Ask for a new order under a valid permit; without one only what is left of the call goes."""
        try:
            yield from self._require_permit(call)
            answer = yield from self._attempts(call, retries=self._retries)
        except NoPermit:
            if call.allowed is None:
                raise
            answer = yield from self._attempts(call.allowed, retries=self._retries)
            return call.allowed.read(answer)
        outcome = call.read(answer)
        if call.allowed is None and self._permits.state(now=self._pace.clock()) is None:
            # Nobody knows what was halted since the server said yes.
            raise NoPermit(f"{call} was answered after the permit had run out: do not place it.", was_admitted=True)
        return outcome

    def _require_permit(self, call: Call[Any]) -> Flow[None]:
        """Return with a valid permit that allows orders, asked for once when none is held. Raises NoPermit."""
        allowed = self._permits.allows(reducing=True, now=self._pace.clock())
        if allowed is None:
            try:
                yield from self._attempts(calls.permit(), retries=0)
            except (Unavailable, RateLimited) as error:
                raise NoPermit(f"{call} is not sent: no permit could be had. {error}") from error
            allowed = self._permits.allows(reducing=True, now=self._pace.clock())
        if not allowed:
            state = self._permits.state(now=self._pace.clock())
            raise NoPermit(f"{call} is not sent: the permit says {state or 'nothing that is valid'}.", state=state)

    @property
    def permit_state(self) -> PermitState | None:
        """What the valid permit held says, None when none is held."""
        return self._permits.state(now=self._pace.clock())

    def may_trade(self, *, reducing: bool) -> Flow[bool]:
        """Return whether a valid permit allows a new order; asks for one, once, when none is held."""
        allowed = self._permits.allows(reducing=reducing, now=self._pace.clock())
        if allowed is None:
            try:
                yield from self._attempts(calls.permit(), retries=0)
            except ClientError:
                return False
            allowed = self._permits.allows(reducing=reducing, now=self._pace.clock())
        return allowed is True

    def flush(self) -> Flow[Flushed]:
        """Deliver everything that waits, with the usual attempts; raises what stops it."""
        if self.spool is None:
            return Flushed(delivered=0, rejected=0)
        flushed, hindrance = yield from self._drain(self.spool, retries=self._retries, limit=None)
        if hindrance is not None:
            raise hindrance
        return flushed

    def _deliver_or_keep(self, call: Call[Any], spool: Spool) -> Flow[Answer]:
        """Deliver one fact behind those that wait, or put it behind them on disk."""
        record = _record(call)
        try:
            hindrance = yield from self._deliver_waiting(spool)
            if hindrance is None:
                return (yield from self._attempts(call, retries=self._retries))
        except ClientError as error:
            if is_final(error):
                raise
            hindrance = error
        except BaseException:
            # Ctrl-C or a cancelled task: nobody knows whether the server has the fact, so it is kept, then we go.
            spool.append(record)
            raise
        yield Disk(partial(spool.append, record))
        if len(spool) == 1:
            logger.warning("%s is kept in %s: %s", call, spool.path, hindrance)
        if isinstance(hindrance, Unauthorized):
            raise hindrance
        return Answer(status=0, replayed=False, data={}, spooled=True)

    def _deliver_waiting(self, spool: Spool) -> Flow[ClientError | None]:
        """Deliver facts that wait, one attempt each. Returns None once none waits, else what hinders."""
        if not len(spool):
            return None
        if self._pace.clock() < self._next_try_at:
            return Unavailable(f"{len(spool)} facts wait for the server, which did not answer a moment ago.")
        _, hindrance = yield from self._drain(spool, retries=0, limit=FACTS_PER_WRITE)
        return hindrance

    def _drain(self, spool: Spool, *, retries: int, limit: int | None) -> Flow[tuple[Flushed, ClientError | None]]:
        delivered = rejected = 0
        hindrance: ClientError | None = None
        if not spool.start_drain():
            return Flushed(0, 0), Unavailable("Another call is delivering the facts that wait.")
        try:
            while hindrance is None and (waiting := spool.head()) is not None:
                if delivered + rejected == limit:
                    hindrance = Unavailable(f"{len(spool)} facts wait to be delivered first.")
                    break
                record = waiting.record
                call = Call(record.method, record.path, read_ack, Lane.FACT, content=json_bytes(record.body))
                try:
                    yield from self._attempts(call, retries=retries)
                except ApiError as error:
                    if is_final(error):
                        yield Disk(partial(spool.reject, waiting, error))
                        rejected += 1
                        logger.warning("%s was refused (%s) and is now in %s", call, error.code, spool.rejected_path)
                    else:
                        hindrance = error
                except Unavailable as error:
                    hindrance = error
                else:
                    spool.done(waiting)
                    delivered += 1
        finally:
            spool.end_drain()
        return Flushed(delivered, rejected), hindrance

    def _attempts(self, call: Call[Any], *, retries: int) -> Flow[Answer]:
        """Send a call until it is answered. Raises the final ApiError, or Unavailable or RateLimited at the end."""
        attempt = 0
        while True:
            if call.needs_permit and attempt:
                # The wait between two attempts may have outlived it.
                yield from self._require_permit(call)
            asked_at = self._pace.clock()
            try:
                outcome: Answer | ApiError | httpx.RequestError = judge((yield Send(call)))
            except httpx.RequestError as error:
                outcome = error
            if isinstance(outcome, Answer):
                self._next_try_at = 0.0
                self._permits.notice(path=call.path, answer=outcome, asked_at=asked_at)
                return outcome
            if isinstance(outcome, ApiError) and not outcome.is_transient:
                raise outcome
            asked_wait = (outcome.retry_after if isinstance(outcome, ApiError) else None) or 0.0
            if call.lane is Lane.FACT:
                # A try that took long is not soon repeated: in an outage a bot spends at most half its time on tries.
                now = self._pace.clock()
                self._next_try_at = now + max(now - asked_at, asked_wait)
            if attempt == retries or asked_wait > LONGEST_RETRY_AFTER:
                if isinstance(outcome, RateLimited):
                    raise outcome
                raise _unavailable(call, outcome, attempts=attempt + 1) from outcome
            yield Pause(max(self._pace.wait(attempt), asked_wait))
            attempt += 1


def _unavailable(call: Call[Any], outcome: ApiError | httpx.RequestError, *, attempts: int) -> Unavailable:
    reason = str(outcome) if isinstance(outcome, ApiError) else f"{type(outcome).__name__} {outcome}".rstrip()
    return Unavailable(f"{call} got no answer in {attempts} attempt(s): {reason}")


def _record(call: Call[Any]) -> Record:
    return Record(call.method, call.path, json.loads(call.content or b"{}"))
