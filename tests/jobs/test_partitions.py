"""Native partitions, made ahead of their months and days."""

import json
from collections.abc import Iterable, Iterator

import pytest
from django.db import connection

from analytics.services.time_series import maintain_time_series
from analytics.tasks import maintain_series
from audit.models import SystemEvent
from bots.models import AccountBalance
from marketdata.models import Candle
from tests.factories import AccountBalanceFactory, utc
from tradingdb.db_backend.partitions import ensure_partitions
from tradingdb.db_backend.storage import TimeTable, time_tables

pytestmark = pytest.mark.django_db(transaction=True)

# A year that no other test writes to, so that the default partition has no rows of theirs.
NOW = utc("2031-11-20 09:00")


@pytest.fixture(autouse=True)
def _no_partitions_left() -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass FROM pg_inherits "
            "WHERE inhrelid::regclass::text ~ '_y20[0-9]{2}m[0-9]+(d[0-9]+)?$'"
        )
        for (partition,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {partition}")


def partition_of(table: str, at: str) -> str:
    """Return the partition that holds the only row of a time."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text FROM {table} WHERE {at}")
        ((name,),) = cursor.fetchall()
    return str(name)


def names(tables: Iterable[TimeTable], months: Iterable[str], days: Iterable[str]) -> list[str]:
    """Return the names of partitions of tables that are split by month or by day."""
    return [f"{table.name}_{end}" for table in tables for end in (months if table.unit == "month" else days)]


def test_two_months_and_fourteen_days_ahead_are_made_once_for_every_time_series() -> None:
    made = ensure_partitions(NOW)

    tables = time_tables()
    assert {"account_balance", "market_data", "portfolio_snapshots", "system_events"} <= {t.name for t in tables}
    assert {table.name for table in tables if table.unit == "day"} == {"system_logs"}
    days = [f"y2031m11d{day}" for day in range(20, 31)] + [f"y2031m12d0{day}" for day in range(1, 5)]
    assert made == names(tables, ("y2031m11", "y2031m12", "y2032m01"), days)
    assert ensure_partitions(NOW) == []
    later = [f"y2031m12d{day:02}" for day in range(5, 16)]
    assert ensure_partitions(utc("2031-12-01 00:00")) == names(tables, ["y2032m02"], later)


def test_a_month_ends_where_the_next_one_begins_in_utc() -> None:
    ensure_partitions(NOW)

    AccountBalanceFactory(timestamp=utc("2031-11-30 23:59:59.999999"))
    AccountBalanceFactory(timestamp=utc("2031-12-01 00:00"))
    AccountBalanceFactory(timestamp=utc("2031-10-31 23:59:59.999999"))

    assert partition_of("account_balance", "timestamp < '2031-12-01Z' AND timestamp > '2031-11-01Z'").endswith(
        "y2031m11"
    )
    assert partition_of("account_balance", "timestamp >= '2031-12-01Z'").endswith("y2031m12")
    assert partition_of("account_balance", "timestamp < '2031-11-01Z'").endswith("_default")


def test_rows_that_came_before_their_partition_are_moved_whole() -> None:
    early = AccountBalanceFactory(timestamp=utc("2031-12-24 18:00"))
    # The first moment that no new partition holds.
    other = AccountBalanceFactory(timestamp=utc("2032-02-01 00:00"))
    before = AccountBalance.objects.order_by("id").values()
    rows = list(before)
    assert partition_of("account_balance", f"id = {early.pk}").endswith("_default")

    ensure_partitions(NOW)

    assert list(before.all()) == rows
    assert partition_of("account_balance", f"id = {early.pk}").endswith("y2031m12")
    assert partition_of("account_balance", f"id = {other.pk}").endswith("_default")


def test_a_partition_has_the_keys_checks_and_indexes_of_its_table() -> None:
    ensure_partitions(NOW)
    shape = """
        SELECT (SELECT count(*) FROM pg_constraint WHERE conrelid = %(t)s::regclass AND contype IN ('p', 'u', 'f')),
            (SELECT array_agg(conname ORDER BY conname) FROM pg_constraint
                WHERE conrelid = %(t)s::regclass AND contype = 'c'),
            (SELECT count(*) FROM pg_index WHERE indrelid = %(t)s::regclass),
            (SELECT array_agg(attname || atttypid || attnotnull ORDER BY attname) FROM pg_attribute
                WHERE attrelid = %(t)s::regclass AND attnum > 0),
            (SELECT count(*) FROM pg_attrdef WHERE adrelid = %(t)s::regclass)
    """
    with connection.cursor() as cursor:
        for table in time_tables():
            cursor.execute(shape, {"t": f"{table.name}_default"})
            expected = cursor.fetchone()
            newest = "y2032m01" if table.unit == "month" else "y2031m12d04"
            cursor.execute(shape, {"t": f"{table.name}_{newest}"})
            assert cursor.fetchone() == expected, table.name


def test_ids_stay_unique_and_rows_are_found_through_every_partition() -> None:
    ensure_partitions(NOW)
    for at in ("2031-11-05", "2031-12-05", "2032-01-05", "2040-01-05"):
        SystemEvent.objects.create(event_time=utc(at), event_type="X", event_level="INFO", message="m")

    ids = list(SystemEvent.objects.values_list("id", flat=True))
    assert len(set(ids)) == 4
    assert [SystemEvent.objects.get(pk=pk).pk for pk in ids] == ids
    assert Candle.objects.count() == 0


def test_a_crowd_in_the_default_partition_waits_for_a_person() -> None:
    for minute in range(3):
        AccountBalanceFactory(timestamp=utc(f"2031-03-01 00:0{minute}"))
    before = AccountBalance.objects.order_by("id").values()
    rows = list(before)

    left = maintain_time_series(NOW, most_moved=2)
    moved = maintain_time_series(NOW, most_moved=None)

    # The audit trail of this very test waits in its default partition too.
    assert {name: rows for name, rows in left.waiting.items() if name != "changes"} == {"account_balance": 3}
    assert moved.waiting == {}
    assert "account_balance_y2031m03" in set(moved.created) - set(left.created)
    assert list(before.all()) == rows


def test_a_part_of_another_length_keeps_its_place() -> None:
    """As after a table's interval was changed: days that lie in a month which is there are not made."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE audit.system_logs_y2031m11 PARTITION OF system_logs "
            "FOR VALUES FROM ('2031-11-01Z') TO ('2031-12-01Z')"
        )

    made = [name for name in ensure_partitions(NOW) if name.startswith("system_logs")]

    assert made == [f"system_logs_y2031m12d0{day}" for day in range(1, 5)]


def test_the_job_says_what_it_did_in_json() -> None:
    done = maintain_series()

    assert json.loads(json.dumps(done)) == done
    assert sorted(done) == ["created", "deleted", "dropped", "failed", "waiting"]
    assert len(done["created"]) >= len(time_tables())
