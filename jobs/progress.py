"""How far a run is: a job tells it while it works, and whoever opens the run sees it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Listener = Callable[[Mapping[str, Any]], object]
_listener: ContextVar[Listener | None] = ContextVar("who hears how far the job is", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let somebody hear what the job inside tells."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(state: Mapping[str, Any]) -> None:
    """Say how far the job is; outside of a run nobody hears it."""
    listener = _listener.get()
    if listener is not None:
        listener(state)
