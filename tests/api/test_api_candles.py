"""Candles in and out: counted exactly, a bad row left out alone."""

import csv
import gzip
import io
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from marketdata.models import Candle
from marketdata.services import candles
from marketdata.services.candle_rows import rows_from_csv, rows_from_json
from tests.api.conftest import Caller
from tradingdb.settings.env import BASE_DIR

SERIES = {"exchange": "bybit", "symbol": "BTCUSDT", "interval": "5m"}
ROWS: list[list[Any]] = [
    ["2026-11-19T10:00:00Z", "100.5", "101", "100", "100.75", "12.5", "1256.25", 31],
    ["2026-11-19T10:05:00Z", "100.75", "102", "100.5", "101.5", "8"],
    ["2026-11-19T13:10:00+03:00", 101.5, 103, 101, 102, 0, None, None],
]
HEADER = "timestamp,open,high,low,close,volume\n"


def post(api: Caller, rows: list[Any]) -> dict[str, Any]:
    response = api.post("/candles", {**SERIES, "candles": rows})
    assert response.status_code == 200, response.content
    return response.json()


def post_csv(api: Caller, text: str | bytes, **series: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in {**SERIES, **series}.items() if value)
    return api.post(f"/candles?{query}", text, content_type="text/csv")


def counts(body: dict[str, Any]) -> tuple[int, ...]:
    assert body["received"] == body["inserted"] + body["updated"] + body["unchanged"] + body["rejected"]
    return tuple(body[name] for name in ("received", "inserted", "updated", "unchanged", "rejected"))


def test_new_candles_come_back_oldest_first(api: Caller):
    assert counts(post(api, list(reversed(ROWS)))) == (3, 3, 0, 0, 0)

    body = api.get("/candles", **SERIES).json()

    assert body == {
        "columns": ["timestamp", "open", "high", "low", "close", "volume", "quote_volume", "trades_count"],
        "rows": [
            ["2026-11-19T10:00:00Z", "100.5", "101", "100", "100.75", "12.5", "1256.25", 31],
            ["2026-11-19T10:05:00Z", "100.75", "102", "100.5", "101.5", "8", None, None],
            ["2026-11-19T10:10:00Z", "101.5", "103", "101", "102", "0", None, None],
        ],
    }


def test_the_same_candles_again_change_nothing(api: Caller):
    post(api, ROWS)

    assert counts(post(api, ROWS)) == (3, 0, 0, 3, 0)


def test_other_values_replace_the_old_ones_and_what_is_not_told_stays(api: Caller):
    post(api, ROWS)
    new = [
        ["2026-11-19T10:00:00Z", "100.5", "101", "100", "100.8", "13"],
        ROWS[1],
        ["2026-11-19T10:15:00Z", 1, 1, 1, 1, 1],
    ]

    assert counts(post(api, new)) == (3, 1, 1, 1, 0)

    first = Candle.objects.get(timestamp="2026-11-19T10:00:00Z")
    assert (first.close_price, first.volume, first.quote_volume, first.trades_count) == (
        Decimal("100.8"),
        13,
        Decimal("1256.25"),
        31,
    )


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (["2026-11-19T10:00:00", 1, 1, 1, 1, 1], "timestamp"),
        ([1763546400, 1, 1, 1, 1, 1], "timestamp"),
        (["2026-02-30T10:00:00Z", 1, 1, 1, 1, 1], "timestamp"),
        (["2099-01-01T00:00:00Z", 1, 1, 1, 1, 1], "timestamp"),
        (["1999-01-01T00:00:00Z", 1, 1, 1, 1, 1], "timestamp"),
        (["2026-11-19T10:00:00.5Z", 1, 1, 1, 1, 1], "whole second"),
        (["2026-11-19T10:00:00Z", 1, 1, 1, 1], "values"),
        (["2026-11-19T10:00:00Z", 1, 1, 1, 1, 1, 1, 1, 1], "values"),
        (["2026-11-19T10:00:00Z,1", 1, 1, 1, 1, 1], "timestamp"),
        (["2026-11-19T10:00:00Z", 1, 2, 1, 3, 1], "high"),
        (["2026-11-19T10:00:00Z", 1, 1, 2, 1, 1], "high"),
        (["2026-11-19T10:00:00Z", 0, 1, 0, 1, 1], "low"),
        (["2026-11-19T10:00:00Z", -1, 1, -1, 1, 1], "low"),
        (["2026-11-19T10:00:00Z", 1, 1, 1, 1, -1], "volume"),
        (["2026-11-19T10:00:00Z", "NaN", 1, 1, 1, 1], "open"),
        (["2026-11-19T10:00:00Z", True, 1, 1, 1, 1], "open"),
        (["2026-11-19T10:00:00Z", None, 1, 1, 1, 1], "open"),
        (["2026-11-19T10:00:00Z", "0.1234567890123456789", 1, 1, 1, 1], "open"),
        (["2026-11-19T10:00:00Z", 1, 1, 1, 1, 1, 1, "1.5"], "trades_count"),
        (["2026-11-19T10:00:00Z", 1, 1, 1, 1, 1, 1, 3_000_000_000], "trades_count"),
        ("2026-11-19T10:00:00Z,1,1,1,1,1", "list"),
        ({"timestamp": "2026-11-19T10:00:00Z"}, "list"),
        ([], "values"),
    ],
)
def test_a_bad_row_is_left_out_alone_and_named(api: Caller, row: Any, word: str):
    body = post(api, [ROWS[1], row, ROWS[2]])

    assert counts(body) == (3, 2, 0, 0, 1)
    (error,) = body["errors"]
    assert error["row"] == 2
    assert word in error["msg"]
    assert Candle.objects.count() == 2


def test_two_rows_of_one_time_count_once_or_are_refused(api: Caller):
    other = [*ROWS[0][:5], "99"]

    body = post(api, [ROWS[0], ROWS[0], other, ROWS[1]])

    assert counts(body) == (4, 2, 0, 1, 1)
    assert body["errors"][0]["row"] == 3
    assert Candle.objects.get(timestamp="2026-11-19T10:00:00Z").volume == Decimal("12.5")


def test_only_the_first_hundred_errors_are_told(api: Caller):
    body = post(api, [["x"]] * 150)

    assert counts(body) == (150, 0, 0, 0, 150)
    assert [error["row"] for error in body["errors"]] == list(range(1, 101))


def test_csv_says_the_same_as_json(api: Caller):
    text = (
        HEADER + "2026-11-19T10:00:00Z,100.5,101,100,100.75,12.5\n2026-11-19T13:05:00+03:00,100.75,102,100.5,101.5,8\n"
    )

    assert counts(post_csv(api, text).json()) == (2, 2, 0, 0, 0)
    assert counts(post(api, [ROWS[0][:6], ROWS[1]])) == (2, 0, 0, 2, 0)


@pytest.mark.parametrize(
    "text",
    [
        "\ufefftimestamp,open,high,low,close,volume\r\n2026-11-19T10:00:00Z,1,2,1,2,5\r\n\r\n",
        "volume,close,low,high,open,timestamp\n5,2,1,2,1,2026-11-19T10:00:00Z",
        '"timestamp","open","high","low","close","volume"\n"2026-11-19T10:00:00Z","1","2","1","2","5"\n',
        "Timestamp, Open, High, Low, Close, Volume\n2026-11-19 10:00:00Z, 1, 2, 1, 2, 5\n",
        "timestamp,open,high,low,close,volume,trades_count\n2026-11-19T10:00:00Z,1,2,1,2,5,\n",
        "timestamp,open,high,low,close,volume,quote_volume,trades_count\n2026-11-19T10:00:00Z,1.0,2,1,2,5.000,,\n",
    ],
)
def test_csv_in_many_spellings(api: Caller, text: str):
    assert counts(post_csv(api, text).json()) == (1, 1, 0, 0, 0)
    assert api.get("/candles", **SERIES).json()["rows"] == [
        ["2026-11-19T10:00:00Z", "1", "2", "1", "2", "5", None, None]
    ]


def test_counts_of_trades_are_read_from_csv_without_quote_volume(api: Caller):
    post_csv(api, "timestamp,open,high,low,close,volume,trades_count\n2026-11-19T10:00:00Z,1,2,1,2,5,77\n")

    assert Candle.objects.get().trades_count == 77


def test_bad_lines_of_csv_are_named_by_their_number(api: Caller):
    text = HEADER + "2026-11-19T10:00:00Z,1,2,1,2,5\nrubbish\n2026-11-19T10:05:00Z,1,2,1,2,5,6\n=cmd(),1,1,1,1,1\n"

    body = post_csv(api, text).json()

    assert counts(body) == (4, 1, 0, 0, 3)
    assert [error["row"] for error in body["errors"]] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "series", "status"),
    [
        ("\n", {}, 422),
        ("open,high\n", {}, 422),
        (HEADER.replace("volume", "volume,volume"), {}, 422),
        (HEADER.replace("volume", "volume,colour"), {}, 422),
        (b"\xff\xfe", {}, 400),
        (HEADER, {"symbol": ""}, 422),
        (HEADER, {"symbol": "btc"}, 422),
        (HEADER, {"interval": "5x"}, 422),
        (HEADER + "x\n" * 100_001, {}, 422),
    ],
)
def test_csv_that_is_none_of_ours_is_refused_whole(api: Caller, text: str | bytes, series: dict[str, str], status: int):
    assert post_csv(api, text, **series).status_code == status
    assert Candle.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ({**SERIES, "candles": ROWS, "extra": 1}, "application/json", 422),
        ({**SERIES, "candles": "x"}, "application/json", 422),
        ({"symbol": "BTCUSDT", "candles": []}, "application/json", 422),
        ({**SERIES, "candles": [["x"]] * 100_001}, "application/json", 422),
        ("{", "application/json", 400),
        ({**SERIES, "candles": ROWS}, "text/plain", 415),
        (HEADER, "text/csv; charset=latin-1", 415),
    ],
)
def test_bodies_that_are_no_candles_are_refused(api: Caller, body: Any, content_type: str, status: int):
    assert api.post("/candles", body, content_type=content_type).status_code == status


def test_a_body_of_more_than_16_mib_is_413(api: Caller):
    response = api.post("/candles", b" " * (16 * 1024 * 1024 + 1))

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_body_of_2_mib_is_taken(api: Caller):
    body = api.post("/candles", b" " * 2 * 1024 * 1024 + b"{}")

    assert body.status_code == 422


def test_reading_from_a_start_or_the_newest(api: Caller):
    post(api, [[f"2026-11-19T10:{minute:02}:00Z", 1, 2, 1, 2, minute] for minute in range(0, 50, 5)])

    def minutes(**query: Any) -> list[str]:
        return [row[0][14:16] for row in api.get("/candles", **SERIES, **query).json()["rows"]]

    assert minutes(limit=3) == ["35", "40", "45"]
    assert minutes(limit=2, start="2026-11-19T10:10:00Z") == ["10", "15"]
    assert minutes(end="2026-11-19T10:10:00Z") == ["00", "05"]
    assert minutes(start="2026-11-19T10:40:00Z", end="2026-11-19T11:00:00Z") == ["40", "45"]
    assert api.get("/candles", symbol="BTCUSDT").status_code == 422
    assert api.get("/candles", **{**SERIES, "symbol": "NOTHING"}).json()["rows"] == []


def test_series_of_other_exchanges_and_intervals_are_apart(api: Caller):
    post(api, ROWS)
    other = {**SERIES, "exchange": "binance", "candles": ROWS}

    assert counts(api.post("/candles", other).json()) == (3, 3, 0, 0, 0)
    assert Candle.objects.count() == 6


def test_real_candles_are_read_alike_as_csv_and_as_json():
    """The sample of the project; two of its 6,225 hours have no volume."""
    body = gzip.decompress((BASE_DIR / "demo" / "data" / "EURUSD-1h.csv.gz").read_bytes())
    lines = list(csv.reader(io.StringIO(body.decode())))

    rows = rows_from_csv(body, timezone.now())

    assert (rows.received, len(rows.lines), rows.rejected, rows.repeated) == (6225, 6223, 2, 0)
    assert [error.row for error in rows.errors] == [4552, 4553]
    assert rows_from_json(lines[1:], timezone.now()).lines == rows.lines


def test_candles_written_past_the_lock_are_not_doubled(api: Caller, monkeypatch):
    """Somebody inserts without the lock between the look and the copy."""
    post(api, ROWS[:1])
    monkeypatch.setattr(candles, "IS_KNOWN", "SELECT false")

    assert counts(post(api, ROWS)) == (3, 2, 0, 1, 0)
