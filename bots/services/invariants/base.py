"""What an invariant is: a question to the ledger that has no answer when all is well."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypedDict

from django.db import connection

from bots.ledger.shapes import wire
from bots.services.invariants.window import TABLES, Window, shadow

# Rows of one invariant that a report shows.
SHOWN = 20
EVERYTHING: dict[str, Any] = {"since": None, "recent": None, "from": None}


class Findings(TypedDict):
    """How many rows break an invariant, and the first of them in their wire form."""

    count: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule of the ledger, with the question for the rows that break it.

    `find` takes the window of a sweep; None is "at everything".
    """

    name: str
    meaning: str
    find: Callable[[Window | None], Findings]


def invariant(
    name: str,
    meaning: str,
    sql: str,
    params: Mapping[str, Any] | None = None,
    *,
    tables: Mapping[str, str] = TABLES,
    in_sweeps: str = "",
) -> Invariant:
    """Return an invariant that is one SQL query.

    In a sweep the plain names of `tables` stand for the rows of its window alone. The query may use %(since)s, the
    moment of the last run, and %(recent)s, from when on time series are read; both are NULL for "everything".
    in_sweeps: the query of sweeps, where a window needs another one.
    """
    return Invariant(name, meaning, partial(_ask, sql, in_sweeps or sql, params or {}, tables))


def _ask(
    sql: str, in_sweeps: str, params: Mapping[str, Any], tables: Mapping[str, str], window: Window | None
) -> Findings:
    if window is None:
        clause, values = "", EVERYTHING
    else:
        sql, clause, values = in_sweeps, shadow(in_sweeps, tables), window.params
        if "%(w_" in clause:
            values = values | window.keys
    with connection.cursor() as cursor:
        cursor.execute(
            f"{clause} SELECT q.*, count(*) OVER () FROM ({sql}) AS q ORDER BY q LIMIT {SHOWN}",  # noqa: S608 (our own text)  # nosec B608
            {**params, **values},
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
