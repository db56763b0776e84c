"""Values that no field of a kind may take, each under a name that says what is wrong with it."""

import json
from typing import Any


class Raw(str):
    """JSON text that goes into a body as it stands, for what json.dumps cannot write."""

    __slots__ = ()


def written(value: Any) -> str:
    """Write a value as JSON. Text is escaped to ASCII, so that a lone surrogate can be sent."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


Bad = dict[str, Any]

NO_TEXT: Bad = {"a number": 7, "true": True, "a list": ["BTCUSDT"], "an object": {"a": 1}}
# What looks like another text, or does something when it is shown, stored or calculated.
NO_PLAIN_ASCII: Bad = {
    "a zero-width space": "BTC\u200bUSDT",
    "a zero-width joiner": "BTC\u200dUSDT",
    "a byte order mark": "\ufeffBTCUSDT",
    "a Cyrillic twin": "\u0412TCUSDT",
    "a Greek twin": "BTCUSD\u03a4",
    "full-width letters": "\uff22\uff34\uff23",
    "a right-to-left mark": "BTC\u202eUSDT",
    "a no-break space": "BTC\u00a0USDT",
    "a combining accent": "E\u0301THUSDT",
    "an emoji": "BTC\U0001f680",
    "a newline at the end": "BTCUSDT\n",
    "a tab": "BTC\tUSDT",
    "a blank inside": "BTC USDT",
    "a blank before": " BTCUSDT",
    "a delete character": "BTC\x7f",
    "nothing": "",
}
NO_NAME: Bad = {
    "a script": "<script>alert(1)</script>",
    "a formula": '=HYPERLINK("http://x")',
    "a formula with plus": "+1+1",
    "a formula with minus": "-1+1",
    "a formula with at": "@SUM(A1)",
    "a quote": "BTC'--",
    "a statement": "BTC'; DROP TABLE fills; --",
    "a template": "{{7*7}}",
    "a lookup": "${jndi:ldap://x}",
    "a path": "../../etc/passwd",
    "a backslash": "BTC\\USDT",
    "a percent sign": "BTC%00",
}

IDENT: Bad = {**NO_TEXT, **NO_PLAIN_ASCII, "101 characters": "a" * 101, "a decimal": Raw("1.5")}
SYMBOL: Bad = {**NO_TEXT, **NO_PLAIN_ASCII, **NO_NAME, "small letters": "btcusdt", "41 characters": "A" * 41}
CURRENCY: Bad = {**NO_TEXT, **NO_PLAIN_ASCII, **NO_NAME, "small letters": "usdt", "21 characters": "A" * 21}
BOT: Bad = {**NO_TEXT, **NO_PLAIN_ASCII, **NO_NAME, "51 characters": "a" * 51}
EXCHANGE: Bad = {**BOT}
INTERVAL: Bad = {**NO_TEXT, "nothing": "", "zero": "0m", "minus": "-1m", "no unit": "5", "no number": "m",
                 "words": "5 minutes",
                 "five digits": "10000m", "Arabic digits": "\u0665m", "an unknown unit": "5y"}  # fmt: skip

DECIMAL: Bad = {
    "NaN as text": "NaN",
    "Infinity as text": "Infinity",
    "minus Infinity as text": "-Infinity",
    "an exponent as text": "1e3",
    "1e400 as text": "1e400",
    "19 places": "1.1234567890123456789",
    "19 places as a number": Raw("1.1234567890123456789"),
    "a float that needs 20 places": Raw("0.00000000000000000001"),
    "21 digits": "123456789012345678901",
    "21 digits as a number": Raw("123456789012345678901"),
    "21 digits by exponent": Raw("1e20"),
    "digits that a float would lose, and too many": Raw("12345678901234567.1234567890123456789"),
    "nothing": "",
    "a blank": " ",
    "a blank before": " 1",
    "a newline after": "1\n",
    "a plus sign": "+1",
    "two signs": "--1",
    "no digit before the point": ".5",
    "no digit after the point": "1.",
    "a comma": "1,5",
    "thousands": "1,000.00",
    "underscores": "1_000",
    "hexadecimal": "0x10",
    "Arabic digits": "\u0661",
    "full-width digits": "\uff11",
    "a minus of typesetters": "\u22121",
    "a zero-width space": "1\u200b",
    "a formula": "=1+1",
    "65 characters": "0." + "0" * 62 + "1",
    "true": True,
    "a list": ["1"],
    "an object": {"value": "1"},
}
POSITIVE: Bad = {**DECIMAL, "-1": "-1", "-1 as a number": -1, "zero": "0", "zero as a number": 0,
                 "minus zero": Raw("-0.0"),
                 "the smallest below zero": "-0.000000000000000001"}  # fmt: skip
NOT_NEGATIVE: Bad = {**DECIMAL, "-1": "-1", "-1 as a number": Raw("-1.0")}
SHARE: Bad = {**DECIMAL, "above 1": "1.000000000001", "2": 2, "-1": "-1", "13 places": "0.1234567890123"}
RATIO: Bad = {**DECIMAL, "13 digits": "1234567890123", "13 places": "0.1234567890123"}

WHOLE: Bad = {"text": "3", "a decimal": Raw("1.5"), "a whole decimal": Raw("3.0"), "an exponent": Raw("1e2"),
              "true": True,
              "2^31": 2**31, "20 digits": 10**19, "a list": [1], "an object": {}, "nothing": ""}  # fmt: skip
COUNT: Bad = {**WHOLE, "-1": -1}
SIGNED: Bad = {**WHOLE, "-2^31": -(2**31)}
FROM_ONE: Bad = {**COUNT, "zero": 0}
DAYS: Bad = {**FROM_ONE, "more than a year": 366}
FLAG: Bad = {"text": "true", "one": 1, "zero": 0, "nothing": "", "a list": [True], "an object": {}}

TIME: Bad = {
    "no offset": "2026-11-19T09:30:00",
    "no time": "2026-11-19",
    "year 9999": "9999-12-31T23:59:59Z",
    "year 0001": "0001-01-01T00:00:00Z",
    "year 0001 with an offset that leads out of the calendar": "0001-01-01T00:00:00+10:00",
    "year 9999 with an offset that leads out of the calendar": "9999-12-31T23:59:59-10:00",
    "year 0000": "0000-01-01T00:00:00Z",
    "a year of five digits": "12026-11-19T09:30:00Z",
    "before 2000": "1999-12-31T23:59:59Z",
    "after 2099": "2100-01-01T00:00:00Z",
    "seconds since 1970": 1763631000,
    "milliseconds since 1970": 1763631000000,
    "seconds as text": "1763631000",
    "seconds as a decimal": Raw("1763631000.5"),
    "a day that is none": "2026-02-30T00:00:00Z",
    "a month that is none": "2026-13-01T00:00:00Z",
    "an hour that is none": "2026-11-19T25:00:00Z",
    "a leap second": "2026-06-30T23:59:60Z",
    "nanoseconds": "2026-11-19T09:30:00.123456789Z",
    "an offset that is none": "2026-11-19T09:30:00+25:00",
    "an offset without minutes": "2026-11-19T09:30:00+03",
    "a zone by name": "2026-11-19T09:30:00 Europe/Berlin",
    "the basic form": "20261119T093000Z",
    "a newline after": "2026-11-19T09:30:00Z\n",
    "a blank before": " 2026-11-19T09:30:00Z",
    "Arabic digits": "\u0662\u0660\u0662\u0666-11-19T09:30:00Z",
    "a zero-width space": "2026-11-19T09:30:00\u200bZ",
    "a word": "now",
    "nothing": "",
    "true": True,
    "a list": ["2026-11-19T09:30:00Z"],
    "an object": {},
}
PAST: Bad = {**TIME, "the future": "2099-12-31T23:59:59Z"}


def word(good: str) -> Bad:
    """A word of a closed set."""
    return {
        "an unknown word": "hodl", "nothing": "", "a blank after": f"{good} ", "a zero-width space": f"{good}\u200b",
        "capitals turned": good.swapcase(), "a number": 0, "true": True, "a list": [good], "an object": {},
    }  # fmt: skip


def line(most: int, least: int = 0) -> Bad:
    """Words on one line."""
    bad: Bad = {**NO_TEXT, "too long": "x" * (most + 1), "a newline": "a\nb", "an escape sequence": "\x1b[31mred",
                "a carriage return": "a\rb"}  # fmt: skip
    return bad | ({"nothing": ""} if least else {})


TEXT: Bad = {**NO_TEXT, "too long": "x" * 10_001}
REASON: Bad = {**NO_TEXT, "too long": "x" * 2_001, "nothing": "", "blanks": " \t\n"}
PASSWORD: Bad = {**NO_TEXT, "too long": "x" * 1_001, "nothing": ""}
OBJECT: Bad = {"a list": [], "text": "{}", "a number": 7, "true": True}
LIST: Bad = {
    "an object": {},
    "text": "[]",
    "a number": 7,
    "true": True,
    "a list of numbers": [1],
    "a list of null": [None],
}

# Refused by the parser, whatever the field: the place is the body as a whole.
UNREADABLE: Bad = {
    "bare NaN": Raw("NaN"),
    "bare Infinity": Raw("Infinity"),
    "bare minus Infinity": Raw("-Infinity"),
    "1e400": Raw("1e400"),
    "-1e400": Raw("-1e400"),
    "1e-400": Raw("1e-400"),
    "an exponent beyond counting": Raw("1e99999999999999999999"),
    "65 digits": Raw("1" * 65),
    "65 places": Raw("0." + "1" * 64),
    "NUL": "a\x00b",
    "a high surrogate alone": "\ud800",
    "a low surrogate alone": "\udc00",
    "surrogates the wrong way round": "\udc00\ud800",
    "33 lists": Raw("[" * 33 + "]" * 33),
    "33 objects": Raw('{"a":' * 33 + "1" + "}" * 33),
    "a key that stands twice": Raw('{"a": 1, "a": 2}'),
    "a key with NUL": Raw('{"\\u0000": 1}'),
    "a key that is a surrogate": Raw('{"\\ud800": 1}'),
}

# Whole bodies that are no JSON: 400.
MALFORMED: dict[str, bytes] = {
    "no byte": b"",
    "blanks": b" \n ",
    "a bracket": b"{",
    "a word": b"nonsense",
    "half a word": b"nul",
    "Python's quotes": b"{'a': 1}",
    "a comma at the end": b'{"a": 1,}',
    "a comment": b'{"a": 1 /* one */}',
    "a leading zero": b'{"a": 01}',
    "no digit before the point": b'{"a": .5}',
    "hexadecimal": b'{"a": 0x10}',
    "two values": b"{} {}",
    "a letter after it": b"{}x",
    "no UTF-8": b'{"a": "\xff"}',
    "a raw surrogate": b'{"a": "\xed\xa0\x80"}',
    "an overlong NUL": b'{"a": "\xc0\x80"}',
    "a raw NUL": b'{"a": "\x00"}',
    "a raw newline in text": b'{"a": "\n"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-32": "{}".encode("utf-32"),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "a form": b"a=1&b=2",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
}
# JSON, but no object of ours: 422, the body as a whole.
NO_OBJECT: dict[str, bytes] = {
    "null": b"null", "a list": b"[]", "a list of an object": b"[{}]", "text": b'"text"', "a number": b"7",
    "true": b"true",
    "100,000 brackets": b"[" * 100_000, "1,000 objects": b'{"a":' * 1_000,
}  # fmt: skip
# Fields that no call knows. A bot that names a bot is told the same whichever it names.
UNKNOWN_FIELDS: Bad = {
    "bot_id": "another_bot", "account_id": "x", "id": 1, "pk": 1, "": 1, "__proto__": {}, "constructor": {},
    "$where": "1",
    "<script>": 1, "x" * 1_000: 1, "\u200b": 1, "=1+1": 1,
}  # fmt: skip
CONTENT_TYPES = (
    "text/plain", "text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/xml",
    "application/jsonp", "application/json; charset=latin-1", "application/json; charset=utf-16",
    "application/problem+json",
    "application/json, text/plain", "json", "*/*",
)  # fmt: skip
# In the place of an id in the address, as it is sent: none of them names anything, and none may reach the database.
NO_ADDRESS = {
    "NUL": "%00", "NUL inside": "a%00b", "a blank": "a%20b", "a newline": "a%0a", "a zero-width space": "a%E2%80%8Bb",
    "a Cyrillic letter": "%D0%B0", "101 characters": "a" * 101,
    "a delete character": "%7f", "an emoji": "%F0%9F%9A%80",
}  # fmt: skip
NO_NUMBER = {"a word": "one", "-1": "-1", "a decimal": "1.5", "2^63": str(2**63), "30 digits": "1" * 30,
             "hexadecimal": "0x1",
             "Arabic digits": "%D9%A1", "an exponent": "1e0", "a plus sign": "+1", "a list": "1,2"}  # fmt: skip
