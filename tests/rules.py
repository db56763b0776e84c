"""How tests ask the database whether it refuses a row, and by which rule."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction


def assert_refused(rule: str, factory: Callable[..., Any], **columns: Any) -> None:
    """The factory makes a good row, and with these columns none: the named rule refuses it."""
    model = type(factory())
    before = model._default_manager.count()

    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        factory(**columns)

    assert caught.value.__cause__.diag.constraint_name == rule
    assert model._default_manager.count() == before


def assert_refused_sql(rule: str, row: Any, column: str, value: str) -> None:
    """The database refuses a value that Python cannot hold, and the row stays as it is."""
    table = connection.ops.quote_name(row._meta.db_table)
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {connection.ops.quote_name(column)} = %s WHERE id = %s", [value, row.pk])

    assert caught.value.__cause__.diag.constraint_name == rule
