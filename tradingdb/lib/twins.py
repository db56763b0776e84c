"""Async forms of services: written once, sync, and called from async code through one hop to a thread."""

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

P = ParamSpec("P")
T = TypeVar("T")


def async_twin(service: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return the async form of a service: one transaction, in the thread that owns this context's connection."""
    twin: Callable[P, Coroutine[Any, Any, T]] = sync_to_async(service, thread_sensitive=True)
    return twin
