"""What is old goes, and nothing younger: on whatever this server keeps the tables in, with a moved clock."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, models, transaction

from analytics.services.time_series import maintain_time_series
from audit.models import SystemEvent, SystemLog, SystemMetric
from marketdata.models import Candle
from tests.factories import SystemLogFactory, SystemMetricFactory, utc
from tests.servers_matrix.rows import candle, event
from tradingdb.db_backend.partitions import ensure_partitions
from tradingdb.db_backend.storage import storage_of

pytestmark = pytest.mark.usefixtures("series")

NOW = utc("2031-11-20 09:00")
TICK = timedelta(microseconds=1)
# Longer than any part: TimescaleDB takes 30 days for a month.
PART = timedelta(days=31)

whole_parts = pytest.mark.parametrize(
    ("model", "make", "cutoff"),
    [
        (SystemLog, SystemLogFactory, utc("2031-10-20 09:00")),
        (SystemMetric, SystemMetricFactory, utc("2031-05-20 09:00")),
    ],
)


def times(model: type[models.Model]) -> list[datetime]:
    """Times of all rows, oldest first."""
    return list(model._default_manager.order_by("timestamp").values_list("timestamp", flat=True))


def make_rows(make: Callable[..., Any], moments: list[datetime]) -> None:
    """Make a row for each moment, in partitions made as they were when the moment was now."""
    for moment in moments:
        ensure_partitions(moment)
        make(timestamp=moment)


@whole_parts
def test_parts_older_than_the_policy_go_and_nothing_younger(
    model: type[models.Model], make: Callable[..., Any], cutoff: datetime
) -> None:
    old = [cutoff - 3 * PART, cutoff - PART - TICK]
    young = [cutoff, cutoff + TICK, NOW - TICK, NOW]
    make_rows(make, old + young)

    report = maintain_time_series(NOW)

    assert times(model) == young
    assert report.failed == {}
    assert [name for name in report.dropped if model._meta.db_table in name or "_hyper_" in name]
    # Whatever is left is of a part that has younger rows too.
    with connection.cursor() as cursor:
        assert all(part.end > cutoff for part in storage_of(cursor, model._meta.db_table).parts)


def test_a_second_run_finds_nothing_to_do() -> None:
    make_rows(SystemLogFactory, [NOW - 3 * PART, NOW])
    maintain_time_series(NOW)
    events = SystemEvent.objects.count()

    report = maintain_time_series(NOW)

    assert (report.dropped, report.deleted, report.failed) == ([], {}, {})
    assert SystemEvent.objects.count() == events


def test_what_was_dropped_is_told_in_an_event() -> None:
    make_rows(SystemLogFactory, [NOW - 3 * PART, NOW])

    report = maintain_time_series(NOW)

    rows = SystemEvent.objects.filter(event_type="RETENTION").order_by("id")
    assert [row.details["part"] for row in rows] == report.dropped != []
    first = rows[0]
    assert first.details["table"] == "system_logs"
    assert (first.event_type, first.event_level, first.component) == ("RETENTION", "INFO", "time_series")
    assert first.details["policy"] == "1 month"
    assert datetime.fromisoformat(first.details["end"]) - datetime.fromisoformat(first.details["start"]) == timedelta(1)


def test_a_table_without_an_end_keeps_its_oldest_row() -> None:
    event(utc("2001-01-01"))
    maintain_time_series(NOW)

    assert SystemEvent.objects.filter(event_time=utc("2001-01-01")).exists()


def test_short_candles_go_after_a_year_and_those_of_an_hour_stay() -> None:
    cutoff = utc("2030-11-20 09:00")
    stored = {"created_at": cutoff - TICK}
    make_rows(lambda timestamp: candle(timestamp, **stored), [cutoff - PART, cutoff - TICK, cutoff, NOW])
    make_rows(lambda timestamp: candle(timestamp, interval="1h", **stored), [cutoff - PART, cutoff - TICK, NOW])

    report = maintain_time_series(NOW)

    left = {
        interval: list(
            Candle.objects.filter(interval=interval).order_by("timestamp").values_list("timestamp", flat=True)
        )
        for interval in ("1m", "1h")
    }
    assert left == {"1m": [cutoff, NOW], "1h": [cutoff - PART, cutoff - TICK, NOW]}
    assert report.deleted == {"market_data": 2}
    told = SystemEvent.objects.get(details__table="market_data", details__has_key="before")
    assert told.details["rows"] == 2


def test_history_that_was_stored_lately_stays_a_year() -> None:
    candle(utc("2018-01-15 12:00"), created_at=NOW - timedelta(days=360))
    candle(utc("2018-01-15 12:01"), created_at=NOW - timedelta(days=370))

    maintain_time_series(NOW)

    assert times(Candle) == [utc("2018-01-15 12:00")]


def test_a_part_goes_when_its_last_candle_has_gone() -> None:
    old, kept = utc("2029-01-15"), utc("2029-03-15")
    for moment, interval in ((old, "1m"), (kept, "1m"), (kept, "4h")):
        candle(moment, interval=interval, created_at=moment)

    maintain_time_series(NOW)
    maintain_time_series(NOW)

    with connection.cursor() as cursor:
        parts = storage_of(cursor, "market_data").parts
    assert [part for part in parts if part.start <= old < part.end] == []
    assert len([part for part in parts if part.start <= kept < part.end]) == 1
    assert times(Candle) == [kept]


def test_a_table_that_somebody_reads_is_left_for_the_next_run() -> None:
    make_rows(SystemLogFactory, [NOW - 3 * PART, NOW])
    make_rows(SystemMetricFactory, [NOW - 12 * PART, NOW])
    reading, done = threading.Event(), threading.Event()

    def read() -> None:
        try:
            with transaction.atomic():
                assert len(times(SystemLog)) == 2
                reading.set()
                done.wait(60)
        finally:
            connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait(60)
    report = maintain_time_series(NOW)
    done.set()
    reader.join()
    again = maintain_time_series(NOW)

    assert set(report.failed) == {"system_logs"}
    assert len(times(SystemMetric)) == 1
    assert again.failed == {}
    assert times(SystemLog) == [NOW]
