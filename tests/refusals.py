"""What the database refuses, and by which rule."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from psycopg.errors import UniqueViolation


@contextmanager
def refused_by(rule: str) -> Iterator[None]:
    """Expect the database to refuse what happens inside, by the rule of this name; nothing of it is stored."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        yield
    cause: Any = caught.value.__cause__
    assert cause.diag.constraint_name == rule


@contextmanager
def refused_twin() -> Iterator[None]:
    """Expect the database to refuse a second row of the same key; a partition's own rule has another name."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        yield
    assert isinstance(caught.value.__cause__, UniqueViolation)


def write(row: models.Model, **columns: str) -> None:
    """Write SQL expressions into columns of a stored row, past Django: values that Python cannot hold."""
    sets = ", ".join(f'"{name}" = {expression}' for name, expression in columns.items())
    table, key = connection.ops.quote_name(row._meta.db_table), connection.ops.quote_name(row._meta.pk.column)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {sets} WHERE {key} = %s", [row.pk])
