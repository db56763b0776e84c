"""A time-series table is an ordinary model: its rows are made, found, changed and listed as others are."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, models
from django.test import Client
from django.urls import reverse

from analytics.services.time_series import maintain_time_series
from audit.models import SystemEvent
from bots.models import AccountBalance
from marketdata.models import Candle
from tests.factories import AccountBalanceFactory, UserFactory, utc
from tests.servers_matrix.rows import candle, event
from tradingdb.db_backend.storage import time_tables

pytestmark = pytest.mark.usefixtures("series")

NOW = utc("2031-11-20 09:00")
NATURAL_KEY = ["exchange", "symbol", "interval", "timestamp"]


def test_a_row_is_made_found_changed_and_deleted() -> None:
    maintain_time_series(NOW)
    made = candle(NOW)
    other = candle(NOW, symbol="ETHUSDT")

    found = Candle.objects.get(pk=made.pk)
    found.volume = Decimal(7)
    found.save()

    assert Candle.objects.get(symbol="BTCUSDT", timestamp=NOW).volume == 7
    assert Candle.objects.get(pk=other.pk).volume == Decimal("1.5")
    found.delete()
    assert list(Candle.objects.all()) == [other]


def test_the_same_candle_again_changes_the_row_that_is_there() -> None:
    maintain_time_series(NOW)
    first = candle(NOW)
    again = [Candle(**{**vars_of(first), "volume": Decimal(9)}), Candle(**{**vars_of(first), "symbol": "ETHUSDT"})]

    Candle.objects.bulk_create(again, update_conflicts=True, unique_fields=NATURAL_KEY, update_fields=["volume"])
    changed, made = Candle.objects.update_or_create(
        **{name: getattr(first, name) for name in NATURAL_KEY}, defaults={"trades_count": 3}
    )

    assert (changed.pk, made) == (first.pk, False)
    assert list(Candle.objects.order_by("symbol").values_list("symbol", "volume", "trades_count")) == [
        ("BTCUSDT", 9, 3),
        ("ETHUSDT", Decimal("1.5"), None),
    ]


def vars_of(row: models.Model) -> dict[str, Any]:
    """Return the columns of a row, without its id."""
    fields = [field for field in row._meta.concrete_fields if not field.primary_key]
    return {field.attname: getattr(row, field.attname) for field in fields}


def test_a_row_is_made_and_read_without_blocking() -> None:
    maintain_time_series(NOW)

    @async_to_sync
    async def use() -> tuple[int, list[str]]:
        made = await SystemEvent.objects.acreate(event_time=NOW, event_type="A", event_level="INFO", message="told")
        found = await SystemEvent.objects.aget(pk=made.pk)
        return found.pk - made.pk, [row.message async for row in SystemEvent.objects.filter(event_type="A")]

    assert use() == (0, ["told"])


@pytest.mark.parametrize(
    ("model", "make"),
    [
        (Candle, lambda: candle(NOW)),
        (SystemEvent, lambda: event(NOW)),
        (AccountBalance, lambda: AccountBalanceFactory(timestamp=NOW)),
    ],
)
def test_the_admin_lists_and_opens_rows(client: Client, model: type[models.Model], make: Callable[[], Any]) -> None:
    maintain_time_series(NOW)
    row = make()
    client.force_login(UserFactory())
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"

    listed = client.get(reverse(f"{name}_changelist"))
    opened = client.get(reverse(f"{name}_change", args=[row.pk]))

    assert (listed.status_code, opened.status_code) == (200, 200)
    assert str(row.pk) in listed.content.decode()


def test_a_row_is_found_by_its_id_through_an_index_in_every_part() -> None:
    maintain_time_series(NOW)
    for moment in (NOW, utc("2031-12-24"), utc("2032-01-15"), utc("2040-01-01")):
        candle(moment)
    with connection.cursor() as cursor:
        # With so few rows a scan is cheaper; without an index it would be made all the same.
        cursor.execute("SET enable_seqscan = off")
        try:
            cursor.execute("EXPLAIN SELECT * FROM market_data WHERE id = 1")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        finally:
            cursor.execute("RESET enable_seqscan")

    assert "Seq Scan" not in plan
    assert plan.count("Index Cond: (id = 1)") >= 4


def test_an_id_is_given_once_over_all_parts() -> None:
    maintain_time_series(NOW)
    rows = [event(moment) for moment in (NOW, utc("2031-12-24"), utc("2040-01-01"))]

    assert len({row.pk for row in rows}) == 3
    assert [SystemEvent.objects.get(pk=row.pk).event_time for row in rows] == [row.event_time for row in rows]


def test_every_table_has_its_time_in_its_primary_key() -> None:
    with connection.cursor() as cursor:
        for table in time_tables():
            cursor.execute(
                "SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey, a.attnum)) FROM pg_index i "
                "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) "
                "WHERE i.indrelid = %s::regclass AND i.indisprimary",
                [table.name],
            )
            assert cursor.fetchone()[0] == ["id", table.column], table.name
