"""Candles added up to UTC days: only what changed, exactly once, and the best interval of each day."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from analytics.models import DailyCandle, DailyCandleChange, DailyOhlcv, ViewRefresh
from analytics.services import daily_candles
from analytics.services.views import refresh_views
from marketdata.models import Candle
from marketdata.services.candle_rows import rows_from_json
from marketdata.services.candles import Series, candles_ingest
from tests.factories import NOON, CandleFactory, DailyCandleChangeFactory, DailyCandleFactory, utc

pytestmark = pytest.mark.django_db

DAY = utc("2026-11-19 00:00")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def run(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def added_up() -> str:
    return refresh_views(NOON, ["daily_ohlcv"])["daily_ohlcv"]


def candle(at: datetime, values: str = "100 100 100 100 1", **columns: Any) -> Candle:
    """A candle from "open high low close volume"."""
    names = ("open_price", "high_price", "low_price", "close_price", "volume")
    return CandleFactory(timestamp=at, **dict(zip(names, map(Decimal, values.split()), strict=True)), **columns)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"])
def test_a_day_is_what_its_candles_add_up_to_in_utc(zone: str) -> None:
    # Berlin's 29 March has 23 hours.
    day = utc("2026-03-29 00:00")
    run(f"SET LOCAL TIME ZONE '{zone}'")
    candle(day - MINUTE, "1 1 1 1 1")
    candle(day + 24 * HOUR - MINUTE, "14 16 13 15.000000000000000001 0.5")
    candle(day + HOUR, "12 30 11 14 0.25")
    candle(day, "10 13 10 12 0.000000000000000001")
    candle(day + 24 * HOUR, "99 99 99 99 1")

    added_up()

    run("SET LOCAL TIME ZONE 'UTC'")
    [row] = DailyOhlcv.objects.filter(day=day).values()
    assert row == {
        "id": "2026-03-29|BTCUSDT|bybit", "exchange": "bybit", "symbol": "BTCUSDT", "day": day,
        "open": Decimal(10), "high": Decimal(30), "low": Decimal(10), "close": Decimal("15.000000000000000001"),
        "volume": Decimal("0.750000000000000001"), "interval": "1m", "candles": 3,
        "coverage": Decimal("0.002083333333"),
    }  # fmt: skip
    assert sorted(DailyOhlcv.objects.values_list("day", flat=True)) == [day - 24 * HOUR, day, day + 24 * HOUR]


def test_only_days_that_changed_are_added_up_again() -> None:
    candle(DAY)
    candle(DAY - 24 * HOUR)
    added_up()
    # Were the day computed again, this would be put right.
    DailyCandle.objects.filter(day=DAY - 24 * HOUR).update(close=Decimal("99.5"), low=Decimal("99.5"))

    candle(DAY + MINUTE, "100 110 100 105 2")
    added_up()

    assert dict(DailyCandle.objects.values_list("day", "close")) == {
        DAY - 24 * HOUR: Decimal("99.5"),
        DAY: Decimal(105),
    }
    assert not DailyCandleChange.objects.exists()


def test_a_second_run_changes_nothing() -> None:
    candle(DAY)
    added_up()
    rows = list(DailyCandle.objects.values())
    # The same candle again, as an importer would send it.
    Candle.objects.update(close_price=100)

    added_up()

    assert list(DailyCandle.objects.values()) == rows
    assert ViewRefresh.objects.get().row_count == 1


def test_a_corrected_candle_corrects_its_day() -> None:
    candle(DAY)
    added_up()

    Candle.objects.update(high_price=120, close_price=120)
    added_up()

    assert DailyOhlcv.objects.values_list("high", "close").get() == (120, 120)


def test_a_day_outlives_its_candles() -> None:
    """Retention deletes minutes after a year; what comes late then is not the day."""
    candle(DAY)
    candle(DAY + MINUTE, "100 200 100 150 1")
    added_up()
    Candle.objects.all().delete()
    assert not DailyCandleChange.objects.exists()

    candle(DAY + HOUR, "7 7 7 7 7")
    added_up()

    assert DailyOhlcv.objects.values_list("high", "close", "candles").get() == (200, 150, 2)


def test_bulk_loads_note_each_day_once() -> None:
    series = Series("binance", "ETHUSDT", "1m")
    times = [DAY + number * MINUTE for number in range(1430, 1450)]
    rows = [[f"{at:%Y-%m-%dT%H:%M:%SZ}", "1", "2", "1", "2", "3"] for at in times]
    candles_ingest(series=series, rows=rows_from_json(rows, NOON + 48 * HOUR))

    assert sorted(DailyCandleChange.objects.values_list("exchange", "symbol", "interval", "day")) == [
        ("binance", "ETHUSDT", "1m", DAY),
        ("binance", "ETHUSDT", "1m", DAY + 24 * HOUR),
    ]
    added_up()

    assert sorted(DailyCandle.objects.values_list("day", "candles", "volume")) == [
        (DAY, 10, Decimal(30)), (DAY + 24 * HOUR, 10, Decimal(30))
    ]  # fmt: skip


def test_series_are_not_mixed() -> None:
    series = [
        ("binance", "BTCUSDT", "1m"), ("bybit", "BTCUSDT", "1m"), ("bybit", "BTCUSDT", "5m"), ("bybit", "ETHUSDT", "1m")
    ]  # fmt: skip
    for number, (exchange, symbol, interval) in enumerate(series, 100):
        candle(DAY, " ".join([str(number)] * 5), exchange=exchange, symbol=symbol, interval=interval)

    added_up()

    found = DailyCandle.objects.values_list("exchange", "symbol", "interval", "open", "volume")
    assert sorted(found) == [(*names, number, number) for number, names in enumerate(series, 100)]


@pytest.mark.parametrize(
    ("counts", "best", "coverage"),
    [
        ({"6h": 4, "12h": 1}, "6h", 1),
        ({"6h": 3, "12h": 2}, "12h", 1),
        ({"6h": 4, "12h": 2, "1d": 1}, "6h", 1),
        ({"6h": 2, "12h": 1}, "6h", Decimal("0.5")),
        ({"1h": 23, "1d": 1}, "1d", 1),
        # Two names of one length.
        ({"360m": 4, "6h": 4}, "360m", 1),
        # A candle that is longer than a day says nothing of one.
        ({"1h": 1, "1w": 1, "1M": 1, "2d": 1, "48h": 1}, "1h", Decimal("0.041666666667")),
        # More candles than a day has room for cover it once.
        ({"5h": 5}, "5h", 1),
    ],
)
def test_the_interval_that_covers_most_of_the_day_is_shown(
    counts: dict[str, int], best: str, coverage: Decimal
) -> None:
    for interval, count in counts.items():
        for number in range(count):
            CandleFactory(interval=interval, timestamp=DAY + number * (24 * HOUR / max(count, 1)))

    added_up()

    assert DailyOhlcv.objects.values_list("interval", "coverage", "candles").get() == (best, coverage, counts[best])


def test_a_better_interval_takes_the_place_of_the_one_that_was_shown() -> None:
    shown = []
    for interval, hours in (("6h", 0), ("1d", 0), ("6h", 6), ("6h", 12), ("6h", 18)):
        candle(DAY + hours * HOUR, interval=interval)
        assert added_up() == "refreshed"
        shown.append(DailyOhlcv.objects.get().interval)

    assert shown == ["6h", "1d", "1d", "1d", "6h"]
    assert DailyCandle.objects.filter(is_shown=True).count() == 1


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [("1s", 1), ("5m", 300), ("4h", 14400), ("1d", 86400), ("1w", None), ("1M", None), ("05m", None), ("m", None),
     ("", None), ("1 m", None), ("999999s", None)],
)  # fmt: skip
def test_the_length_of_an_interval(interval: str, seconds: int | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT analytics.interval_seconds(%s)", [interval])
        assert cursor.fetchone()[0] == seconds


def test_many_days_are_added_up_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily_candles, "BATCH", 2)
    for number in range(5):
        candle(DAY + number * 24 * HOUR)
        candle(DAY + number * 24 * HOUR + MINUTE)

    assert added_up() == "refreshed"

    assert list(DailyCandle.objects.order_by("day").values_list("candles", flat=True)) == [2] * 5


def test_a_run_that_has_no_time_left_says_so_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily_candles, "BATCH", 2)
    for number in range(5):
        candle(DAY + number * 24 * HOUR)
    with monkeypatch.context() as hurry:
        hurry.setattr(daily_candles, "RUN_SECONDS", -1.0)
        first = added_up()
    row = ViewRefresh.objects.get()

    assert (first, row.refreshed_at, DailyCandle.objects.count()) == ("failed", None, 2)
    assert "the next run goes on" in row.error
    assert added_up() == "refreshed"
    assert DailyCandle.objects.count() == 5


@contextmanager
def another_writer() -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own, in a transaction."""
    parameters = connection.get_connection_params()
    with psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "password", "host", "port")}
    ) as other:
        yield other


INSERT = """
    INSERT INTO trading.market_data
        (symbol, interval, timestamp, open_price, high_price, low_price, close_price, volume)
    VALUES ('BTCUSDT', '1m', %s, 100, 100, 100, 100, 1)
"""


@pytest.mark.django_db(transaction=True)
def test_a_writer_that_commits_late_is_not_lost() -> None:
    run("DELETE FROM analytics.daily_candles")
    candle(DAY)
    with another_writer() as writer:
        writer.execute(INSERT, [DAY + MINUTE])

        # Neither waits for the other, nor takes the other's note away.
        assert added_up() == "refreshed"
        seen_before = DailyCandle.objects.get().candles
        writer.commit()

    assert added_up() == "refreshed"
    assert (seen_before, DailyCandle.objects.get().candles) == (1, 2)


@pytest.mark.django_db(transaction=True)
def test_a_writer_that_takes_its_candle_back_leaves_no_note() -> None:
    with another_writer() as writer:
        writer.execute(INSERT, [DAY])
        writer.rollback()

    assert not DailyCandleChange.objects.exists()


def migrate(*targets: tuple[str, str]) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets) or executor.loader.graph.leaf_nodes())


@pytest.fixture
def _back_to_the_top(transactional_db: None) -> Iterator[None]:
    """Leave the database as it was, whatever the test did."""
    yield
    migrate()


@pytest.mark.usefixtures("_back_to_the_top")
def test_candles_that_were_there_before_the_migration_are_added_up() -> None:
    graph = MigrationExecutor(connection).loader.graph
    [views] = [node for node in graph.nodes if node[0] == "analytics" and node[1].endswith("_views")]
    migrate(*[parent.key for parent in graph.node_map[views].parents if parent.key[0] == "analytics"])
    candle(DAY)
    candle(DAY + MINUTE)
    candle(DAY, interval="1w")

    migrate()

    assert list(DailyCandleChange.objects.values_list("interval", "day")) == [("1m", DAY)]
    assert added_up() == "refreshed"
    assert DailyOhlcv.objects.get().candles == 2


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"open": 4}, "daily_candles_valid_ohlc"),
        ({"close": Decimal("0.5")}, "daily_candles_valid_ohlc"),
        ({"low": 0}, "daily_candles_valid_ohlc"),
        ({"volume": -1}, "daily_candles_volume_not_negative"),
        ({"candles": 0}, "daily_candles_has_candles"),
        ({"coverage": 0}, "daily_candles_valid_coverage"),
        ({"coverage": Decimal("1.000000000001")}, "daily_candles_valid_coverage"),
        ({"interval": "1w"}, "daily_candles_valid_interval"),
        ({"day": DAY + HOUR}, "daily_candles_whole_day"),
        ({"symbol": "=cmd"}, "daily_candles_valid_symbol"),
    ],
)
def test_a_bad_day_is_refused(columns: dict[str, Any], rule: str) -> None:
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        DailyCandleFactory(**columns)

    DailyCandleFactory()


@pytest.mark.parametrize(
    ("columns", "rule"),
    [({"interval": "1d"}, "daily_candles_unique"), ({"interval": "1m", "is_shown": True}, "daily_candles_one_shown")],
)
def test_a_day_is_there_once_for_each_interval_and_shown_once(columns: dict[str, Any], rule: str) -> None:
    DailyCandleFactory(is_shown=True)
    DailyCandleFactory(interval="1h")

    with pytest.raises(IntegrityError, match=rule):
        DailyCandleFactory(**columns)


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"day": DAY + HOUR}, "daily_candle_changes_whole_day"),
        ({"symbol": "btc\u200busdt"}, "daily_candle_changes_valid_symbol"),
    ],
)
def test_a_bad_note_is_refused(columns: dict[str, Any], rule: str) -> None:
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        DailyCandleChangeFactory(**columns)

    DailyCandleChangeFactory()


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("daily_candles", "day"),
        ("daily_candles", "computed_at"),
        ("daily_candle_changes", "day"),
        ("daily_candle_changes", "noted_at"),
    ],
)
def test_endless_times_are_refused(table: str, column: str) -> None:
    DailyCandleFactory()
    DailyCandleChangeFactory()

    with pytest.raises(IntegrityError, match=f"{table}_finite_times"):
        run(f"UPDATE {table} SET {column} = 'infinity'")
