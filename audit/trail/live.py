"""Comparing tables with their trail: rows changed while the triggers were off are in the one and not in the other."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.backends.utils import CursorWrapper

from audit.trail.tables import RECORDED, Facts, Whole
from audit.trail.triggers import digest_of

SHOWN = 5
Found = tuple[str, str]
NAMES = ("live_row_edited", "live_row_deleted", "live_row_inserted")
# The last change of each row since the table was last emptied.
TOLD = """
    SELECT DISTINCT ON (c.row_id) c.row_id, c.operation, c.form, c.digest FROM audit.changes c
    WHERE c.table_name = %(table)s AND c.row_id <> '*' AND c.id > coalesce((SELECT max(e.id) FROM audit.changes e
        WHERE e.table_name = %(table)s AND e.row_id = '*'), 0) {since}
    ORDER BY c.row_id, c.id DESC
"""
# Of a check since some moment only rows with a change since then are looked at.
SINCE = "AND c.row_id IN (SELECT n.row_id FROM audit.changes n WHERE n.table_name = %(table)s AND n.at >= %(since)s)"
OF_FACTS = """
    WITH told AS ({told})
    SELECT problem, count(*), (array_agg(row_id ORDER BY row_id))[1:5] FROM (
        SELECT coalesce(told.row_id, t.{key}::text) AS row_id, CASE
            WHEN t.{key} IS NULL THEN CASE WHEN told.operation <> 'delete' THEN 'live_row_deleted' END
            WHEN told.row_id IS NULL OR told.operation = 'delete' THEN 'live_row_inserted'
            WHEN told.digest IS DISTINCT FROM CASE told.form {digests} END THEN 'live_row_edited' END AS problem
        FROM told {join} JOIN {place} t ON t.{key}::text = told.row_id
    ) AS compared WHERE problem IS NOT NULL GROUP BY problem ORDER BY problem
"""
OF_WHOLE = """
    SELECT c.row_id, c.operation, c.after::text FROM audit.changes c
    WHERE c.table_name = %(table)s AND c.row_id <> '*' AND c.id > coalesce((SELECT max(e.id) FROM audit.changes e
        WHERE e.table_name = %(table)s AND e.row_id = '*'), 0) {since}
    ORDER BY c.id
"""


def live_problems(cursor: CursorWrapper, *, since: datetime | None) -> Iterator[Found]:
    """Yield what differs between each recorded table and its trail.

    since: where rows come without end, only those with a change after it are looked at.
    """
    for name, table in RECORDED.items():
        if isinstance(table, Facts):
            found = _of_facts(cursor, name, table, since)
        elif table.live == "false":
            continue
        else:
            found = _of_whole(cursor, name, table, since if table.grows else None)
        for problem in NAMES:
            count, ids = found.get(problem, (0, []))
            if count:
                more = f" and {count - len(ids)} more" if count > len(ids) else ""
                yield problem, f"{table.schema}.{name} {', '.join(ids)}{more}: {_words(problem)}"


def _words(problem: str) -> str:
    return {
        "live_row_edited": "the row is not what the trail says",
        "live_row_deleted": "the trail has it, the table does not",
        "live_row_inserted": "the table has it, the trail does not",
    }[problem]


def _of_facts(
    cursor: CursorWrapper, name: str, table: Facts, since: datetime | None
) -> Mapping[str, tuple[int, list[str]]]:
    digests = " ".join(f"WHEN {form} THEN {digest_of('t', columns)}" for form, columns in table.forms.items())
    query = OF_FACTS.format(
        told=TOLD.format(since=SINCE if since else ""), key=table.key, digests=digests,
        place=f"{table.schema}.{name}", join="LEFT" if since else "FULL",
    )  # fmt: skip
    cursor.execute(query, {"table": name, "since": since})
    return {problem: (count, ids) for problem, count, ids in cursor.fetchall()}


def _of_whole(
    cursor: CursorWrapper, name: str, table: Whole, since: datetime | None
) -> Mapping[str, tuple[int, list[str]]]:
    cursor.execute(OF_WHOLE.format(since=SINCE if since else ""), {"table": name, "since": since})
    told: dict[str, dict[str, Any] | None] = {}
    for row_id, operation, after in cursor.fetchall():
        if operation == "delete":
            told[row_id] = None
        else:
            told[row_id] = {**(told.get(row_id) or {}), **_json(after)}
    stored = _stored(cursor, name, table, since)
    wrong: dict[str, list[str]] = {problem: [] for problem in NAMES}
    for row_id, fields in told.items():
        if fields is None:
            continue
        row = stored.get(row_id)
        if row is None:
            wrong["live_row_deleted"].append(row_id)
        elif any(row[column] != value for column, value in fields.items() if column in row):
            wrong["live_row_edited"].append(row_id)
    wrong["live_row_inserted"] = [row_id for row_id in stored if told.get(row_id) is None]
    return {problem: (len(ids), sorted(ids)[:SHOWN]) for problem, ids in wrong.items()}


def _stored(cursor: CursorWrapper, name: str, table: Whole, since: datetime | None) -> dict[str, dict[str, Any]]:
    """Return the rows of a table as the trail writes them, secrets as their digests."""
    fields = "to_jsonb(t) - %(ignored)s::text[]"
    for secret in table.secrets:
        value = f"(to_jsonb(t) ->> '{secret}')"
        fields += (
            f" || CASE WHEN {value} IS NULL THEN '{{}}' ELSE jsonb_build_object('{secret}', "
            f"'sha256:' || encode(sha256(convert_to({value}, 'UTF8')), 'hex')) END"
        )
    where = [f"t.{table.live}"] if table.live else []
    if since:
        changed = SINCE.removeprefix("AND c.row_id")
        where.append(f"t.{table.key}::text {changed}")
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    cursor.execute(
        f"SELECT t.{table.key}::text, ({fields})::text FROM {table.schema}.{name} t{condition}",  # noqa: S608 (names come from code)  # nosec B608
        {"ignored": list(table.all_ignored), "table": name, "since": since},
    )
    return {row_id: _json(text) for row_id, text in cursor.fetchall()}


def _json(text: str | None) -> dict[str, Any]:
    return dict(json.loads(text, parse_float=Decimal)) if text else {}
