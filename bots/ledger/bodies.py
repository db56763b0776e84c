"""From a body on disk back to the fact it was: stored bodies are canonical JSON, decimals and times as text."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_type_hints

from bots.ledger.facts import Fact

F = TypeVar("F", bound=Fact)


def fact_from(kind: type[F], body: Mapping[str, Any], *, source: str, **others: Any) -> F:
    """Return the fact a canonical body stands for; `others` are told apart from the body and outweigh it."""
    told = {**body, **others}
    readers = _readers(kind)  # type: ignore[arg-type]  # a class is hashable
    values = {name: readers[name](told[name]) for name in readers if told.get(name) is not None}
    return kind(body=body, source=source, **values)


@lru_cache
def _readers(kind: type[Fact]) -> dict[str, Callable[[Any], Any]]:
    hints = get_type_hints(kind)
    return {each.name: _reader(hints[each.name]) for each in fields(kind) if each.name not in ("body", "source")}


def _reader(hint: Any) -> Callable[[Any], Any]:
    types = get_args(hint) or (hint,)
    if Decimal in types:
        return Decimal
    if datetime in types:
        return lambda value: value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return lambda value: value
