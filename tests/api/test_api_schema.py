"""The types that inputs are made of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bots.choices import Side
from tradingdb.lib import schema
from tradingdb.lib.errors import ValidationFailed
from tradingdb.lib.schema import StrictModel, Word, validated


def read(kind: Any, value: object) -> Any:
    return TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.0", "1.0"),
        ("-12.50", "-12.50"),
        (7, "7"),
        (Decimal("0.1"), "0.1"),
        (Decimal("1e3"), "1000"),
        ("0.123456789012345678", "0.123456789012345678"),
        ("1." + "0" * 40, "1"),
        ("0" * 30 + "1", "1"),
        (Decimal("1.000000000000000000000"), "1"),
        ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
        ("-0", "0"),
    ],
)
def test_a_decimal_keeps_its_value(value: object, expected: str):
    result = read(schema.DecimalIn, value)

    assert result == Decimal(expected)
    assert "E" not in str(result)


@pytest.mark.parametrize(
    "value",
    ["", " 1", "1 ", "1\n", "1e3", "+1", ".5", "1.", "1,5", "0x10", "\u0661", "NaN", "Infinity", "1_000", "1" * 65,
     "--1", "0.1234567890123456789", "123456789012345678901", Decimal("NaN"), Decimal("Infinity"), Decimal("1e30"),
     Decimal("1e-19"), Decimal("1e999999"), Decimal("1e-999999"), 10**20, True, 1.5, None, [], b"1"],
)  # fmt: skip
def test_what_the_ledger_cannot_hold_exactly_is_refused(value: object):
    with pytest.raises(ValidationError):
        read(schema.DecimalIn, value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**20) + 1, max_value=10**20 - 1))
def test_every_decimal_that_fits_is_taken_as_it_is(number: Decimal):
    assert read(schema.DecimalIn, f"{number:f}") == number
    assert read(schema.DecimalIn, number) == number


def test_bounds_of_decimals():
    assert read(schema.PositiveDecimal, "0.000000000000000001") == Decimal("1e-18")
    assert read(schema.NonNegativeDecimal, 0) == 0
    assert read(schema.Ratio01, "1") == 1
    for kind, value in (
        (schema.PositiveDecimal, "0"),
        (schema.PositiveDecimal, "-1"),
        (schema.NonNegativeDecimal, "-0.1"),
        (schema.Ratio01, "1.1"),
        (schema.Ratio01, "-0.1"),
        (schema.Ratio01, "0.1234567890123"),
        (schema.RatioIn, "1000000000000"),
    ):
        with pytest.raises(ValidationError):
            read(kind, value)


def test_integers_and_switches_are_not_guessed():
    assert read(schema.CountIn, 3) == 3
    for kind, value in (
        (schema.CountIn, "3"),
        (schema.CountIn, Decimal(3)),
        (schema.CountIn, True),
        (schema.CountIn, -1),
        (schema.CountIn, 2**31),
        (schema.Flag, "true"),
        (schema.Flag, 1),
    ):
        with pytest.raises(ValidationError):
            read(kind, value)


@pytest.mark.parametrize(
    "text",
    ["2026-11-20T09:30:00Z", "2026-11-20T12:30:00+03:00", "2026-11-20t09:30:00z", "2026-11-20 09:30:00.000000000Z",
     "2026-11-19T23:30:00-10:00"],
)  # fmt: skip
def test_one_moment_in_any_offset_is_the_same_utc_time(text: str):
    result = read(schema.UtcTime, text)

    assert result == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    assert result.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    ["2026-11-20T09:30:00", "2026-11-20", "1763631000", 1763631000, 1763631000000, Decimal("1.5"),
     "2026-02-30T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+10:00", "1999-12-31T23:59:59Z",
     "2026-11-20T09:30:60Z", "2026-11-20T09:30:00.1234567Z", "2026-11-20T09:30:00Z\n", "20261120T093000Z",
     "\u0662026-11-20T09:30:00Z", "now", None, datetime(2026, 11, 20)],  # noqa: DTZ001 (a naive time is what must be refused)
)  # fmt: skip
def test_times_without_an_offset_or_outside_the_bounds_are_refused(value: object):
    with pytest.raises(ValidationError):
        read(schema.UtcTime, value)


def test_a_fact_may_be_five_minutes_ahead_and_no_more():
    now = datetime.now(UTC)

    assert read(schema.FactTime, (now + timedelta(minutes=4)).isoformat()) == now + timedelta(minutes=4)
    assert read(schema.UtcTime, (now + timedelta(days=30)).isoformat()) == now + timedelta(days=30)
    with pytest.raises(ValidationError):
        read(schema.FactTime, (now + timedelta(minutes=6)).isoformat())


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETH/USDT:USDT", "1000000CHEEMSUSDT", "4USDT", "BTC-PERP", "A" * 40])
def test_real_symbols_are_taken(symbol: str):
    assert read(schema.Symbol, symbol) == symbol


@pytest.mark.parametrize(
    "symbol", ["", "btcusdt", "BTC USDT", "\u0412TCUSDT", "BTC\u200bUSDT", "BTCUSDT\n", "=BTC", "A" * 41, 5, "BTC\x00"]
)
def test_look_alikes_and_long_symbols_are_refused(symbol: object):
    with pytest.raises(ValidationError):
        read(schema.Symbol, symbol)


@pytest.mark.parametrize("ident", ["", "a b", "a\n", "é", "a" * 101, "\x7f", "\x00", 7])
def test_ids_are_printable_ascii_without_blanks(ident: object):
    assert read(schema.Ident, "f-1:2/3#~!") == "f-1:2/3#~!"
    with pytest.raises(ValidationError):
        read(schema.Ident, ident)


def test_free_json_keeps_exact_numbers():
    value = {"rsi": Decimal("60.8"), "exact": Decimal("0.12345678901234567890123"), "list": [1, None, {"a": True}]}

    assert read(schema.JsonObject, value) == {
        "rsi": 60.8,
        "exact": "0.12345678901234567890123",
        "list": [1, None, {"a": True}],
    }


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [[], "text", {"a": float("nan")}, {"a": Decimal("Infinity")}, {"a": "\x00"}, {"\x00": 1}, {"a": "\ud800"}, {1: 2},
     {"a": object()}, {"a": Decimal("1e999")}, deep(40)],
)  # fmt: skip
def test_free_json_holds_only_what_json_and_postgresql_can(value: object):
    with pytest.raises(ValidationError):
        read(schema.JsonObject, value)


class Example(StrictModel):
    side: Word[Side]
    price: schema.PositiveDecimal
    note: schema.Line50 = ""


def test_a_model_names_every_wrong_place_and_never_the_value():
    with pytest.raises(ValidationFailed) as caught:
        validated(Example, {"side": "hodl", "price": "s3cret", "bot_id": "x" * 500})

    assert [error["loc"] for error in caught.value.errors] == [["body", "side"], ["body", "price"], ["body", "bot_id"]]
    assert "s3cret" not in str(caught.value.errors)


def test_a_model_takes_words_of_a_closed_set_as_text():
    example = validated(Example, {"side": "buy", "price": "1.50"})

    assert (type(example.side), example.side, example.price) == (str, "buy", Decimal("1.5"))
