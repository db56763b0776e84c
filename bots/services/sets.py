"""Many rows in one statement. They travel as one JSON text and are read by the row type of their table.

A statement that writes costs the server more before its first row, when rules, defaults and triggers are looked up,
than for a row; so do its messages cost us.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from bots.ledger.content import canonical
from bots.services.plan import RETURNED, Outcome, Plan, Sql, within
from tradingdb.lib.errors import DomainError

# How one of many facts that are told together ends.
End = Outcome | DomainError
Values = Mapping[str, Any]
# How a column's value is written so that PostgreSQL reads exactly it.
WRITTEN: dict[type, Any] = {Decimal: str, datetime: datetime.isoformat, bytes: lambda value: f"\\x{value.hex()}"}


def insert_many(table: str, rows: Sequence[Values], *, suffix: str | None = None) -> Sql:
    """Build an INSERT of rows that all have the same columns; without a suffix it returns what a single one would."""
    return Sql(_insert_text(table, tuple(rows[0]), suffix), {"rows": _json(rows)})


def update_many(
    table: str, rows: Sequence[Values], *, key: str, bot_id: str, instead: Mapping[str, str] | None = None
) -> Sql:
    """Build an UPDATE of rows of a bot, each named by its `key`, that returns what a single one would.

    `instead`: expressions for columns that do not simply become the value told; `t` is the row, `r` what is told.
    """
    text = _update_text(table, tuple(rows[0]), key, tuple((instead or {}).items()))
    return Sql(text, {"bot": bot_id, "keys": [row[key] for row in rows], "rows": _json(rows)})


def one_by_one(plans: Iterable[Plan[Outcome]]) -> Plan[list[End]]:
    """Run plans one after another; one that is refused stops no other."""
    ends: list[End] = []
    for plan in plans:
        try:
            ends.append((yield from within(plan)))
        except DomainError as e:
            ends.append(e)
    return ends


def _json(rows: Sequence[Values]) -> str:
    written = WRITTEN
    told = [
        {name: written[kind](value) if (kind := type(value)) in written else value for name, value in row.items()}
        for row in rows
    ]
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False, default=canonical)


# ruff: noqa: S608 (names come from code)
@lru_cache(maxsize=64)
def _insert_text(table: str, columns: tuple[str, ...], suffix: str | None) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(f'r."{name}"' for name in columns)
    suffix = f"RETURNING {_returned(table, '')}" if suffix is None else suffix
    return (
        f"INSERT INTO {table} ({names}) SELECT {values} "
        f"FROM json_populate_recordset(NULL::{table}, %(rows)s::json) AS r {suffix}"  # names from code alone  # nosec B608
    )


@lru_cache(maxsize=64)
def _update_text(table: str, columns: tuple[str, ...], key: str, instead: tuple[tuple[str, str], ...]) -> str:
    others = dict(instead)
    sets = ", ".join(f'"{name}" = {others.get(name) or f"""r."{name}" """}' for name in columns if name != key)
    return (
        f"UPDATE {table} AS t SET {sets} FROM json_populate_recordset(NULL::{table}, %(rows)s::json) AS r "
        f"WHERE t.bot_id = %(bot)s AND t.{key} = ANY(%(keys)s::varchar[]) AND t.{key} = r.{key} "
        f"RETURNING {_returned(table, 't.')}"  # names from code alone  # nosec B608
    )


def _returned(table: str, prefix: str) -> str:
    columns = RETURNED.get(table)
    return f"{prefix}*" if columns is None else ", ".join(f'{prefix}"{name}"' for name in columns)
