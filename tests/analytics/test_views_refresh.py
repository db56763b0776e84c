"""How views are refreshed: side by side with readers, one at a time, each on its own, with their age kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from celery.schedules import crontab
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from analytics.choices import ViewName
from analytics.models import ActivePositionSummary, ViewRefresh
from analytics.services.views import PERIODS, TRY_LOCK, is_stale, refresh_views
from analytics.tasks import refresh_views as refresh_task
from tests.factories import NOON, CandleFactory, PositionFactory, TradeFactory, ViewRefreshFactory

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(minutes=1)
ALL = {str(name): "refreshed" for name in ViewName}
each_materialised = pytest.mark.parametrize("name", [name for name in ViewName if name != ViewName.DAILY_OHLCV])


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def another_session() -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own, in a transaction."""
    parameters = connection.get_connection_params()
    with psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "password", "host", "port")}
    ) as other:
        yield other


def test_every_view_is_refreshed_and_its_age_is_kept() -> None:
    PositionFactory()

    assert refresh_views(NOON) == ALL

    rows = {row.view_name: row for row in ViewRefresh.objects.all()}
    assert set(rows) == set(ALL)
    assert {(row.refreshed_at, row.attempted_at, row.error) for row in rows.values()} == {(NOON, NOON, "")}
    assert {name: row.row_count for name, row in rows.items()} == {
        "active_positions_summary": 1,
        "daily_performance_summary": 0,
        "system_health_dashboard": 1,
        "daily_ohlcv": 0,
    }


def test_one_view_that_fails_stops_no_other_and_is_shown() -> None:
    refresh_views(NOON)
    run("DROP INDEX analytics.idx_daily_perf_summary, analytics.idx_daily_perf_summary_id")

    done = refresh_views(LATER)

    assert done == ALL | {"daily_performance_summary": "failed"}
    row = ViewRefresh.objects.get(view_name="daily_performance_summary")
    assert (row.refreshed_at, row.attempted_at, row.row_count) == (NOON, LATER, 0)
    assert row.error.startswith("cannot refresh materialized view")
    assert "\n" not in row.error


def test_success_after_failure_clears_the_error() -> None:
    ViewRefreshFactory(refreshed_at=None, error="It broke")

    refresh_views(LATER, ["daily_ohlcv"])

    row = ViewRefresh.objects.get()
    assert (row.refreshed_at, row.error) == (LATER, "")


def test_only_the_views_that_are_named_are_refreshed() -> None:
    assert refresh_task(["system_health_dashboard"]) == {"system_health_dashboard": "refreshed"}

    assert list(ViewRefresh.objects.values_list("view_name", flat=True)) == ["system_health_dashboard"]


@each_materialised
def test_a_view_that_was_restored_without_its_rows_is_filled(name: str) -> None:
    run(f"REFRESH MATERIALIZED VIEW analytics.{name} WITH NO DATA")

    assert refresh_views(NOON, [name]) == {name: "refreshed"}

    run(f"SELECT * FROM analytics.{name}")


@pytest.mark.django_db(transaction=True)
def test_a_reader_does_not_hold_the_refresh_up_nor_see_it_half_done() -> None:
    refresh_views(NOON)
    with another_session() as reader:
        count = "SELECT count(*) FROM analytics.active_positions_summary"
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute(count).fetchone()

        PositionFactory()
        done = refresh_views(LATER)

        assert done == ALL
        assert ActivePositionSummary.objects.count() == 1
        assert (before, reader.execute(count).fetchone()) == ((0,), (0,))


@pytest.mark.django_db(transaction=True)
def test_two_runs_of_one_view_do_not_meet_and_the_others_go_on() -> None:
    for name in ViewName:
        with another_session() as other:
            other.execute(TRY_LOCK, [name])

            done = refresh_views(NOON)

        assert done == ALL | {str(name): "busy"}
    # The first refresh of each came while another one was held up.
    assert ViewRefresh.objects.count() == len(ViewName)


@pytest.mark.django_db(transaction=True)
def test_a_refresh_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.services.views.LIMIT", "SET LOCAL statement_timeout = '100ms'")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        before = cursor.fetchone()
    with another_session() as other:
        # What the refresh needs is held until it gives up.
        other.execute("LOCK TABLE trading.positions IN ACCESS EXCLUSIVE MODE")

        done = refresh_views(NOON, ["active_positions_summary", "daily_performance_summary"])

    assert done == {"active_positions_summary": "failed", "daily_performance_summary": "refreshed"}
    assert "statement timeout" in ViewRefresh.objects.get(view_name="active_positions_summary").error
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == before


@pytest.mark.parametrize(("name", "seconds"), [("active_positions_summary", 180), ("daily_ohlcv", 900)])
def test_a_view_is_stale_after_three_periods(name: str, seconds: int) -> None:
    row = ViewRefresh(view_name=name, refreshed_at=NOON)

    assert is_stale(row, NOON + timedelta(seconds=seconds)) is False
    assert is_stale(row, NOON + timedelta(seconds=seconds, microseconds=1)) is True


def test_a_view_that_was_never_refreshed_is_stale() -> None:
    assert is_stale(None, NOON) is True
    assert is_stale(ViewRefresh(view_name="daily_ohlcv"), NOON) is True


def test_beat_refreshes_each_view_as_often_as_we_say() -> None:
    entries = [each for each in settings.CELERY_BEAT_SCHEDULE.values() if each["task"] == refresh_task.name]
    seconds = {
        name: 300 if entry["schedule"] == crontab(minute="*/5") else entry["schedule"]
        for entry in entries
        for name in entry["args"][0]
    }

    assert seconds == {str(name): period.total_seconds() for name, period in PERIODS.items()}
    assert all(entry["options"]["expires"] == seconds[entry["args"][0][0]] for entry in entries)


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"view_name": "another"}, "view_refreshes_valid_name"),
        ({"duration_ms": -1}, "view_refreshes_duration_not_negative"),
        ({"row_count": -1}, "view_refreshes_rows_not_negative"),
    ],
)
def test_a_bad_record_of_a_refresh_is_refused(columns: dict[str, Any], rule: str) -> None:
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        ViewRefreshFactory(**columns)

    ViewRefreshFactory(duration_ms=0, row_count=0)


@pytest.mark.parametrize("column", ["refreshed_at", "attempted_at"])
def test_an_endless_time_of_a_refresh_is_refused(column: str) -> None:
    ViewRefreshFactory()

    with pytest.raises(IntegrityError, match="view_refreshes_finite_times"):
        run(f"UPDATE view_refreshes SET {column} = 'infinity'")


def test_views_can_be_made_and_filled_with_no_search_path() -> None:
    """As a restore does it: from the definitions that PostgreSQL writes down, with every name in full."""
    PositionFactory()
    TradeFactory()
    CandleFactory()
    refresh_views(NOON)
    rows = "SELECT array_agg(v) FROM analytics.{} v"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = ''")
        for name in ViewName:
            cursor.execute(f"SELECT pg_get_viewdef('analytics.{name}'::regclass)")
            [(definition,)] = cursor.fetchall()
            cursor.execute(f"CREATE MATERIALIZED VIEW analytics.restored AS {definition.rstrip(';')} WITH NO DATA")
            cursor.execute("REFRESH MATERIALIZED VIEW analytics.restored")
            cursor.execute(rows.format("restored"))
            restored = cursor.fetchone()
            cursor.execute(rows.format(name))
            assert restored == cursor.fetchone() != (None,), name
            cursor.execute("DROP MATERIALIZED VIEW analytics.restored")
        # The triggers of the candles.
        cursor.execute("UPDATE trading.market_data SET close_price = 100")
        cursor.execute("SELECT count(*) FROM analytics.daily_candle_changes")
        assert cursor.fetchone() == (1,)
        cursor.execute("RESET search_path")
