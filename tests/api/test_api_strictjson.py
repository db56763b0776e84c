"""The parser of request bodies."""

from decimal import Decimal

import pytest

from tradingdb.lib.errors import BodyTooLarge, DomainError, MalformedBody, UnsupportedMediaType, ValidationFailed
from tradingdb.lib.strictjson import MAX_DEPTH, check_content_type, is_clean, parse


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_numbers_keep_every_digit():
    value = parse(b'{"a": 12345678901234567.123456789012345678, "b": 7, "c": 1e-3, "d": -0.0, "e": 20.10}')

    assert value == {
        "a": Decimal("12345678901234567.123456789012345678"),
        "b": 7,
        "c": Decimal("0.001"),
        "d": Decimal("-0.0"),
        "e": Decimal("20.10"),
    }
    assert type(value["b"]) is int
    assert str(value["e"]) == "20.10"


def test_ordinary_json_is_read_as_json_says():
    value = parse(b' \n{"t": true, "n": null, "s": "\\u00e9 \\ud83d\\ude00 \\"{[", "l": [1, []]} ')

    assert value == {"t": True, "n": None, "s": 'é 😀 "{[', "l": [1, []]}


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"{'a': 1}", b'{"a": 1} x', b'{"a": 01}', b'{"a": .5}', b'{"a": 1,}', b"\xff", b'"\x00"', b'"\n"',
     b"\xef\xbb\xbf{}", b"[1 2]", b"nul", "[1]".encode("utf-16"), b"\xed\xa0\x80"],
)  # fmt: skip
def test_what_is_no_json_is_malformed(body: bytes):
    with pytest.raises(MalformedBody):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b"[Infinity]",
        b"-Infinity",
        b'{"a": 1, "a": 1}',
        b'{"x": {"a": 1, "b": 2, "a": 3}}',
        b'["\\u0000"]',
        b'{"\\u0000": 1}',
        b'["\\ud800"]',
        b'[{"deep": ["\\udc00\\ud800"]}]',
        b"[1e400]",
        b"[1e99999999999999999999]",
        b"[-1e-400]",
        b"[0e999999999]",
        b"[" + b"1" * 65 + b"]",
        b"[0." + b"1" * 65 + b"]",
        nested(MAX_DEPTH + 1),
        b'{"a":' * 40 + b"1" + b"}" * 40,
    ],
)
def test_json_that_could_be_misread_is_refused(body: bytes):
    with pytest.raises(ValidationFailed) as caught:
        parse(body)

    assert caught.value.errors[0]["loc"] == ["body"]


def test_depth_counts_brackets_outside_text_only():
    assert parse(nested(MAX_DEPTH)) is not None
    assert parse(b'["' + b"[" * 1000 + b'"]') == ["[" * 1000]
    assert parse(b"[" + b'"[",' * 100 + b"1]") == ["["] * 100 + [1]
    with pytest.raises(DomainError):
        parse(b'["]]]]]]]]]]",' * 5 + b"1" + b"]" * 5 + b"[" * 100_000)
    with pytest.raises(DomainError):
        parse(b"[" * 100_000)
    with pytest.raises(ValidationFailed):
        parse(b'["' + b"]" * 50 + b'",' + nested(MAX_DEPTH) + b"]")


def test_a_body_above_the_limit_is_too_large():
    assert parse(b"[1,2]", limit=5) == [1, 2]
    with pytest.raises(BodyTooLarge) as caught:
        parse(b"[1,22]", limit=5)

    assert caught.value.http_status == 413


@pytest.mark.parametrize(
    "header",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_json_content_types_are_taken(header: str):
    check_content_type(header)


@pytest.mark.parametrize(
    "header", [None, "", "text/plain", "application/json; charset=latin-1", "application/jsonp", "multipart/form-data"]
)
def test_other_content_types_are_refused(header: str | None):
    with pytest.raises(UnsupportedMediaType):
        check_content_type(header)


def test_text_that_postgresql_cannot_hold_is_not_clean():
    assert is_clean("ETHUSDT é 😀")
    assert not is_clean("a\x00b")
    assert not is_clean("\ud800")
