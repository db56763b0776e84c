"""Parts for the time ahead, and writers at the end of a month, also while they are being made."""

import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection

from analytics.choices import QualityStatus
from analytics.models import DataQualityCase
from analytics.services.time_series import maintain_time_series
from audit.models import SystemEvent, SystemLog
from bots.models import AccountBalance
from tests.factories import AccountBalanceFactory, BotFactory, SystemLogFactory, utc
from tests.servers_matrix.rows import event
from tradingdb.db_backend.storage import Kind, default_rows, storage_of, time_tables

pytestmark = pytest.mark.usefixtures("series")

NOW = utc("2031-11-30 23:00")
TICK = timedelta(microseconds=1)
JANUARY, FEBRUARY = utc("2032-01-01"), utc("2032-02-01")


def kind_of(table: str) -> Kind:
    with connection.cursor() as cursor:
        return storage_of(cursor, table).kind


def test_every_time_series_table_is_kept_as_this_server_keeps_them() -> None:
    wanted = Kind.HYPERTABLE if connection.has_timescaledb else Kind.PARTITIONS

    assert {table.name: kind_of(table.name) for table in time_tables()} == {
        table.name: wanted for table in time_tables()
    }
    assert {"market_data", "system_logs", "system_events", "account_balance"} <= {table.name for table in time_tables()}


def test_two_months_and_fourteen_days_ahead_need_no_default() -> None:
    maintain_time_series(NOW)

    event(FEBRUARY - TICK)
    SystemLogFactory(timestamp=utc("2031-12-14 23:59:59.999999"))

    assert {table.name: default_rows(table).rows for table in time_tables()} == {t.name: 0 for t in time_tables()}


def test_both_sides_of_midnight_are_kept_apart_and_found() -> None:
    maintain_time_series(NOW)
    sides = [utc("2031-11-30 23:59:59.999999"), utc("2031-12-01 00:00"), JANUARY - TICK, JANUARY]
    bot = BotFactory()
    for moment in sides:
        AccountBalanceFactory(bot=bot, timestamp=moment)

    maintain_time_series(NOW)

    rows = AccountBalance.objects.order_by("timestamp")
    assert list(rows.values_list("timestamp", flat=True)) == sides
    assert [rows.get(timestamp=moment).pk for moment in sides] == [row.pk for row in rows]
    if kind_of("account_balance") is Kind.PARTITIONS:
        with connection.cursor() as cursor:
            cursor.execute("SELECT tableoid::regclass::text FROM account_balance ORDER BY timestamp")
            months = [name.removeprefix("account_balance_") for (name,) in cursor.fetchall()]
        assert months == ["y2031m11", "y2031m12", "y2031m12", "y2032m01"]


def test_writers_at_the_end_of_a_month_never_hear_of_the_maintenance() -> None:
    """Rows on both sides of midnight, and rows whose partition is made under the writer's hands."""
    bot = BotFactory()
    stop, errors, written = threading.Event(), [], []

    def write(number: int) -> None:
        try:
            while not stop.is_set():
                for month in range(1, 13):
                    midnight = datetime(2032, month, 1, tzinfo=NOW.tzinfo) + timedelta(minutes=number)
                    for moment in (midnight - timedelta(minutes=number) - TICK, midnight):
                        AccountBalanceFactory(bot=bot, timestamp=moment, balance_id=f"{number}_{len(written)}_{moment}")
                        written.append(moment)
        except Exception as e:
            errors.append(e)
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    reports = [maintain_time_series(utc(f"2032-{month:02}-01") - TICK) for month in range(1, 13)]
    stop.set()
    for writer in writers:
        writer.join()
    last = maintain_time_series(utc("2032-12-31"))

    assert errors == []
    assert sorted(AccountBalance.objects.values_list("timestamp", flat=True)) == sorted(written)
    assert (last.waiting, last.failed) == ({}, {})
    assert len(reports) == 12


def test_a_row_before_its_time_raises_a_case_until_its_partition_comes() -> None:
    maintain_time_series(NOW)
    early = event(FEBRUARY + timedelta(days=3))
    maintain_time_series(NOW)
    cases = DataQualityCase.objects.filter(table_name="audit.system_events")
    seen = list(cases.values_list("kind", "status", "row_count"))

    report = maintain_time_series(utc("2031-12-01"))

    assert SystemEvent.objects.get(pk=early.pk).event_time == early.event_time
    assert report.waiting == {}
    if kind_of("system_events") is Kind.PARTITIONS:
        assert seen == [("default_partition", "open", 1)]
        assert cases.get().status == QualityStatus.RESOLVED
    else:
        assert seen == []


def test_history_gets_its_partitions_and_a_row_of_no_sane_time_waits_for_staff() -> None:
    event(utc("2018-03-05"))
    lost = event(utc("1999-12-31 23:59:59.999999"))
    SystemLogFactory(timestamp=NOW - timedelta(days=3))

    report = maintain_time_series(NOW)

    if kind_of("system_events") is Kind.PARTITIONS:
        assert report.waiting == {"system_events": 1}
        assert {"system_events_y2018m03", "system_logs_y2031m11d27"} <= set(report.created)
        case = DataQualityCase.objects.get(status=QualityStatus.OPEN)
        assert (case.table_name, case.row_count) == ("audit.system_events", 1)
        assert case.details["oldest"] == "1999-12-31T23:59:59.999Z"
    else:
        assert report.waiting == {}
    assert SystemEvent.objects.filter(pk=lost.pk).exists()
    assert SystemLog.objects.count() == 1
