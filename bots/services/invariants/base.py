"""What an invariant is: a question to the ledger that has no answer when all is well."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, TypedDict

from django.db import connection

from bots.ledger.shapes import wire

# Rows of one invariant that a report shows.
SHOWN = 20
# Time series (balances, candles, events) grow for ever; a sweep looks this far behind its `since` at them.
BEHIND = timedelta(days=1)


class Findings(TypedDict):
    """How many rows break an invariant, and the first of them in their wire form."""

    count: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule of the ledger, with the question for the rows that break it.

    `find` takes the moment from which on the costly questions look; None is "at everything".
    """

    name: str
    meaning: str
    find: Callable[[datetime | None], Findings]


def invariant(name: str, meaning: str, sql: str, params: Mapping[str, Any] | None = None) -> Invariant:
    """Return an invariant that is one SQL query.

    The query may use %(recent)s, the moment from which on time series are read, NULL for all of them, and
    %(since)s, the moment of the last sweep, or NULL.
    """
    return Invariant(name, meaning, partial(_ask, sql, params or {}))


def _ask(sql: str, params: Mapping[str, Any], since: datetime | None) -> Findings:
    recent = None if since is None else since - BEHIND
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT q.*, count(*) OVER () FROM ({sql}) AS q ORDER BY q LIMIT {SHOWN}",  # noqa: S608 (our own text)
            {**params, "since": since, "recent": recent},
        )
        names = [column.name for column in cursor.description][:-1]
        rows = cursor.fetchall()
    shown = [{name: wire(value) for name, value in zip(names, row, strict=False)} for row in rows]
    return {"count": rows[0][-1] if rows else 0, "rows": shown}


def findings(rows: Iterable[Mapping[str, Any]]) -> Findings:
    """Return what an invariant that is no single query has found."""
    found = iter(rows)
    shown = [wire(dict(row)) for row in islice(found, SHOWN)]
    return {"count": len(shown) + sum(1 for _ in found), "rows": shown}
