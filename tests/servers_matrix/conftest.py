"""Time-series tables without partitions at the start of each test, and without what the test made at its end."""

from collections.abc import Iterator

import pytest
from django.db import connection

from tradingdb.db_backend.storage import Kind, qualified, storage_of, time_tables


@pytest.fixture
def series(transactional_db: None) -> Iterator[None]:
    """Rows and chunks go with the flush of the test; native partitions are dropped here."""
    yield
    with connection.cursor() as cursor:
        for table in time_tables():
            storage = storage_of(cursor, table.name)
            if storage.kind is Kind.PARTITIONS:
                for part in storage.parts:
                    cursor.execute(f"DROP TABLE {qualified(cursor, part.schema, part.name)}")
