"""Reading by hand-written SQL."""

from typing import Any

from django.db import connection

Rows = list[tuple[Any, ...]]


def fetch(sql: str, **params: Any) -> Rows:
    """Return all rows of one statement; parameters stand in it as %(name)s."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: Rows = cursor.fetchall()
        return rows
