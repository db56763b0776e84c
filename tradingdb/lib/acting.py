"""Who acts, over which request and why: said once at an edge, told to the database in each transaction that writes.

The audit trail's triggers read it there (`app.actor`, `app.request_id`, `app.reason`, each for one transaction).
Without it they name the login.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from typing import NamedTuple


class Told(NamedTuple):
    """The words as the database gets them; empty where nothing is known."""

    actor: str
    request_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts. `actor` may be a question that is asked when something is written: a login may come in between."""

    actor: str | Callable[[], str] = ""
    request_id: str = ""
    reason: str = ""

    def told(self) -> Told:
        """Return the words for the database; it takes no NUL."""
        actor = self.actor if isinstance(self.actor, str) else self.actor()
        return Told(*(word.replace("\x00", "") for word in (actor[:100], self.request_id[:64], self.reason)))


_acting: ContextVar[Acting | None] = ContextVar("acting", default=None)


def who_acts() -> Acting | None:
    """Return who acts in this thread or task."""
    return _acting.get()


def begin(who: Acting) -> Token[Acting | None]:
    """Say who acts from now on; `end` takes it back."""
    return _acting.set(who)


def end(token: Token[Acting | None]) -> None:
    """Let act again whoever did before."""
    _acting.reset(token)


@contextmanager
def acting(
    *, actor: str | Callable[[], str] | None = None, request_id: str | None = None, reason: str | None = None
) -> Iterator[None]:
    """Say who acts in this block, or why; what is not given stays as it was."""
    given = {"actor": actor, "request_id": request_id, "reason": reason}
    changes = {name: value for name, value in given.items() if value is not None}
    token = begin(replace(_acting.get() or Acting(), **changes))  # type: ignore[arg-type]
    try:
        yield
    finally:
        end(token)
