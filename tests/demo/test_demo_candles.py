"""The candle reader: what it takes, what it leaves out and says so."""

import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from demo_series import START, candle

from demo.candles import (
    SAMPLE_FOLDER,
    CandleFileError,
    CandleSet,
    account_quote,
    plain,
    quote_of,
    read_file,
    read_library,
    replayed,
    traded,
)

HEADER = "timestamp,open,high,low,close,volume"


def rows(count: int, *, minutes: int = 60) -> list[str]:
    return [f"{(START + timedelta(minutes=minutes * k)).isoformat()},10,12,9,11,5.5" for k in range(count)]


def write(folder: Path, name: str, lines: list[str]) -> Path:
    path = folder / name
    text = "\n".join([HEADER, *lines]) + "\n"
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def candle_set(symbol: str, interval: str = "1h", count: int = 60) -> CandleSet:
    return CandleSet(symbol, interval, tuple(candle(k, "1", "1", "1", "1") for k in range(count)))


def test_a_good_file_is_read_plain_and_packed(tmp_path):
    plain_set, notices = read_file(write(tmp_path, "BTCUSDT-1h.csv", rows(60)))
    packed_set, _ = read_file(write(tmp_path, "BTCUSDT-1h.csv.gz", rows(60)))

    assert notices == []
    assert plain_set == packed_set
    assert (plain_set.symbol, plain_set.interval, plain_set.seconds, plain_set.quote) == ("BTCUSDT", "1h", 3600, "USDT")
    first = plain_set.candles[0]
    assert first.timestamp == datetime(2024, 1, 1, tzinfo=UTC)
    assert (first.open, first.high, first.low, first.close, first.volume) == tuple(
        Decimal(x) for x in ("10", "12", "9", "11", "5.5")
    )


def test_gaps_are_no_fault(tmp_path):
    lines = rows(30) + [line.replace("2024-01", "2024-03") for line in rows(30)]

    found, notices = read_file(write(tmp_path, "BTCUSDT-1h.csv", lines))

    assert len(found.candles) == 60
    assert notices == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2024-01-09T00:00:00,10,12,9,11,5", "has no offset"),
        ("1704067200000,10,12,9,11,5", "is not ISO 8601"),
        ("2024-01-09T00:00:00Z,10,12,9,11", "5 fields instead of 6"),
        ("2024-01-09T00:00:00Z,10,12,9,11,5,6", "7 fields instead of 6"),
        ("2024-01-09T00:00:00Z,ten,12,9,11,5", "open 'ten' is not a number"),
        ("2024-01-09T00:00:00Z,10,NaN,9,11,5", "high 'NaN' is not finite"),
        ("2024-01-09T00:00:00Z,10,Infinity,9,11,5", "high 'Infinity' is not finite"),
        ("2024-01-09T00:00:00Z,0,12,0,11,5", "a price is not positive"),
        ("2024-01-09T00:00:00Z,10,12,9,11,-5", "the volume is negative"),
        ("2024-01-09T00:00:00Z,10,10.5,9,11,5", "high and low do not enclose open and close"),
        ("2024-01-09T00:00:00Z,10,12,10.5,11,5", "high and low do not enclose open and close"),
        ("2024-01-01T00:00:00Z,10,12,9,11,5", "timestamp is not later than the row before"),
        ("2024-01-09T00:00:00Z,10,12,9,1e-19,5", "close has more than 18 decimals"),
    ],
)
def test_a_bad_row_is_left_out_alone_and_named(tmp_path, row, reason):
    lines = rows(60)
    lines.insert(59, row)

    found, notices = read_file(write(tmp_path, "BTCUSDT-1h.csv", lines))

    assert len(found.candles) == 60
    assert len(notices) == 1
    assert notices[0].startswith("row 61 left out: ")
    assert notices[0].endswith(reason)


def test_the_noise_of_binary_floats_is_taken_off(tmp_path):
    line = "2024-01-09T00:00:00Z,0.00005330000000000001,0.0000534,0.000052900000000000005,0.0000533,431401.97869504"

    found, notices = read_file(write(tmp_path, "ADABTC-5m.csv", [*rows(60), line]))

    last = found.candles[-1]
    assert notices == []
    assert (last.open, last.low, last.volume) == (
        Decimal("0.0000533"),
        Decimal("0.0000529"),
        Decimal("431401.97869504"),
    )
    assert found.price_step == Decimal("0.0000001")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("XRPETH-ticks.csv", "'ticks' is not a candle interval"),
        ("XRPETH.csv", "its name is not SYMBOL-interval"),
        ("xrpeth-1h.csv", "its name is not SYMBOL-interval"),
    ],
)
def test_a_file_of_another_kind_is_skipped_with_one_notice(tmp_path, name, reason):
    write(tmp_path, "BTCUSDT-1h.csv", rows(60))
    write(tmp_path, name, rows(60))

    library = read_library(tmp_path)

    assert [s.symbol for s in library.sets] == ["BTCUSDT"]
    assert library.notices == (f"{name} skipped: {reason}",)


def test_a_file_with_another_header_or_no_gzip_is_skipped(tmp_path):
    write(tmp_path, "BTCUSDT-1h.csv", rows(60))
    (tmp_path / "ETHUSDT-1h.csv").write_text("time,o,h,l,c,v\n")
    (tmp_path / "SOLUSDT-1h.csv.gz").write_bytes(b"not gzip")
    write(tmp_path, "XRPUSDT-1h.csv", rows(59))

    library = read_library(tmp_path)

    assert [s.symbol for s in library.sets] == ["BTCUSDT"]
    assert library.notices[0] == f"ETHUSDT-1h.csv skipped: its header is not {HEADER}"
    assert library.notices[1].startswith("SOLUSDT-1h.csv.gz skipped: it cannot be read")
    assert library.notices[2] == "XRPUSDT-1h.csv skipped: 59 good candles are too few (at least 60)"


def test_a_folder_without_candles_is_an_error(tmp_path):
    with pytest.raises(CandleFileError, match="holds no candles"):
        read_library(tmp_path)
    with pytest.raises(CandleFileError, match="is not a folder"):
        read_library(tmp_path / "missing")


def test_the_csv_for_the_api_reads_back_the_same(tmp_path):
    found, _ = read_file(write(tmp_path, "BTCUSDT-1h.csv", rows(60)))

    (tmp_path / "ETHUSDT-1h.csv").write_bytes(found.csv())
    again, notices = read_file(tmp_path / "ETHUSDT-1h.csv")

    assert again.candles == found.candles
    assert notices == []
    assert found.csv().splitlines()[1] == b"2024-01-01T00:00:00Z,10,12,9,11,5.5"


@pytest.mark.parametrize(
    ("symbol", "quote"),
    [
        ("BTCUSDT", "USDT"),
        ("BTCUSDC", "USDC"),
        ("EURUSD", "USD"),
        ("ETHBTC", "BTC"),
        ("XRPETH", "ETH"),
        ("BTCEUR", "EUR"),
        ("1000000CHEEMSUSDT", "USDT"),
        ("GOOGL", None),
        ("USDT", None),
    ],
)
def test_the_quote_currency_is_the_end_of_the_symbol(symbol, quote):
    assert quote_of(symbol) == quote


def test_the_account_currency_is_the_first_of_usdt_usd_usdc_or_the_commonest():
    def quote(*symbols: str) -> str | None:
        return account_quote([candle_set(symbol) for symbol in symbols])

    assert quote("ETHBTC", "LTCBTC", "EURUSD", "XRPUSDT") == "USDT"
    assert quote("ETHBTC", "LTCBTC", "EURUSD", "XRPUSDC") == "USD"
    assert quote("ETHBTC", "LTCBTC", "XRPUSDC") == "USDC"
    assert quote("ETHBTC", "LTCBTC", "XRPETH") == "BTC"
    assert quote("GOOGL") is None


def test_one_set_a_symbol_is_replayed_and_five_of_the_account_currency_traded():
    sets = [candle_set(f"COIN{k}USDT", count=60 + k) for k in range(6)]
    sets += [candle_set("COIN5USDT", "5m", 61), candle_set("ETHBTC", "1d")]

    assert [(s.symbol, s.interval) for s in replayed(sets)][5:] == [("COIN5USDT", "5m"), ("ETHBTC", "1d")]
    assert [s.symbol for s in traded(sets)] == ["COIN1USDT", "COIN2USDT", "COIN3USDT", "COIN4USDT", "COIN5USDT"]
    assert traded([candle_set("GOOGL")]) == []


def test_decimals_are_written_without_exponent_and_trailing_zeros():
    written = [plain(Decimal(x)) for x in ("1E+3", "1.2300", "-0", "0.00000001", "0E-18", "100")]

    assert written == ["1000", "1.23", "0", "0.00000001", "0", "100"]


def test_the_sample_is_whole_and_small():
    library = read_library()

    assert library.notices == ()
    assert [(s.symbol, s.interval, len(s.candles)) for s in library.sets] == [
        ("EURUSD", "1h", 6225),
        ("GOOGLUSD", "1d", 2335),
    ]
    assert sum(path.stat().st_size for path in SAMPLE_FOLDER.iterdir()) < 300_000
