"""Candles on their way in: rows of JSON or lines of CSV, checked one by one. A bad row is named and left out alone.

The usual row is checked by one regular expression and a few comparisons, so that 100,000 of them take a fraction of
a second; only what looks unusual takes the slow way, which also finds the words for what is wrong.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic_core import PydanticCustomError

from tradingdb.lib.errors import MalformedBody, ValidationFailed
from tradingdb.lib.schema import MAX_INTEGER, to_decimal
from tradingdb.lib.times import CLOCK_TOLERANCE, EARLIEST, parse_utc, refuse_future

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", "quote_volume", "trades_count")
REQUIRED = 6
MAX_ROWS = 100_000
MAX_ERRORS = 100
# As COPY writes it.
NULL = r"\N"

_TIME = r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2}))"
_NUMBER = r"([0-9]{1,20}(?:\.[0-9]{1,18})?)"
_USUAL = re.compile(",".join([_TIME, *[_NUMBER] * 5]) + rf"(?:,{_NUMBER}?)?(?:,([0-9]{{1,9}})?)?")


class BadRow(NamedTuple):
    """A row that was left out; `row` counts from 1, without the header of a CSV."""

    row: int
    msg: str


class Candle(NamedTuple):
    """One good candle: its time, and its values as one line of PostgreSQL's COPY format, in the order of COLUMNS."""

    timestamp: datetime
    line: str


@dataclass(slots=True)
class Rows:
    """What was read: the good lines by their time, how many rows came, came twice or were wrong, and what was wrong."""

    lines: dict[datetime, str] = field(default_factory=dict)
    received: int = 0
    repeated: int = 0
    rejected: int = 0
    errors: list[BadRow] = field(default_factory=list)

    def add(self, candle: Candle) -> None:
        """Take one candle; raise ValueError when another one of the same time is there."""
        time, line = candle
        stored = self.lines.setdefault(time, line)
        if stored is line:
            return
        if not _means_the_same(stored, line):
            raise ValueError("another row has the same timestamp and other values")
        self.repeated += 1

    def refuse(self, message: str) -> None:
        """Leave the row that was read last out; the first 100 messages are kept."""
        self.rejected += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(BadRow(self.received, message))


def _means_the_same(line: str, other: str) -> bool:
    """Whether two lines of one time have the same values, however they are spelled."""
    pairs = zip(line.split("\t")[1:], other.split("\t")[1:], strict=True)
    return all(a == b or (NULL not in (a.strip(), b.strip()) and Decimal(a) == Decimal(b)) for a, b in pairs)


def rows_from_json(values: Sequence[Any], now: datetime) -> Rows:
    """Read rows of [timestamp, open, high, low, close, volume, quote_volume?, trades_count?]."""
    _check_count(len(values))
    rows = Rows()
    for row in values:
        rows.received += 1
        try:
            rows.add(_usual_row(row, now) or _unusual_row(row, now))
        except ValueError as e:
            rows.refuse(str(e))
    return rows


def rows_from_csv(body: bytes, now: datetime) -> Rows:
    """Read CSV with a header row that names the columns, in any order.

    Raises MalformedBody for bytes that are not UTF-8, ValidationFailed for a header without the needed columns.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise MalformedBody(f"The CSV is not UTF-8: byte {e.start}.") from e
    lines = text.replace("\r\n", "\n").split("\n")
    order = _header(lines[0] if lines else "")
    rows = Rows()
    in_order = order == list(range(len(order)))
    for line in lines[1:]:
        if not line:
            continue
        rows.received += 1
        _check_count(rows.received)
        try:
            usual = _usual(line, now) if in_order and line.count(",") + 1 == len(order) else None
            rows.add(usual or _unusual_row(_cells(line, order), now))
        except ValueError as e:
            rows.refuse(str(e))
    return rows


def _check_count(count: int) -> None:
    if count > MAX_ROWS:
        raise ValidationFailed(f"At most {MAX_ROWS} rows in one call.", limit=MAX_ROWS)


def _header(line: str) -> list[int]:
    """Return for each column of COLUMNS that the file has, in their order, where it stands in a line."""
    names = [name.strip().strip('"').lower() for name in line.split(",")]
    missing = [name for name in COLUMNS[:REQUIRED] if name not in names]
    unknown = [name[:40] for name in names if name not in COLUMNS]
    if missing or unknown or len(set(names)) != len(names):
        problem = (
            f"lacks {', '.join(missing)}"
            if missing
            else f"has unknown or double columns: {', '.join((unknown or names)[:5])}"
        )
        raise ValidationFailed(f"The header row {problem}. It may hold: {', '.join(COLUMNS)}.")
    if "trades_count" in names and "quote_volume" not in names:
        return [names.index(name) if name in names else -1 for name in COLUMNS]
    return [names.index(name) for name in COLUMNS if name in names]


def _cells(line: str, order: list[int]) -> list[str | None]:
    try:
        cells = next(csv.reader([line]))
    except csv.Error as e:
        raise ValueError(f"is not CSV: {e}") from e
    if len(cells) != len([place for place in order if place >= 0]):
        raise ValueError(f"has {len(cells)} cells")
    ordered = [cells[place].strip() if place >= 0 else "" for place in order]
    return [cell if cell or i < REQUIRED else None for i, cell in enumerate(ordered)]


def _usual_row(row: Any, now: datetime) -> Candle | None:
    if not isinstance(row, list):
        raise ValueError("must be a list of values")
    line = ",".join(map(str, row))
    # A text with a comma in it would count as two values.
    return _usual(line, now) if line.count(",") + 1 == len(row) else None


def _usual(line: str, now: datetime) -> Candle | None:
    """Return the candle of a line in the usual form; None for any other, which the slow way judges."""
    match = _USUAL.fullmatch(line)
    if match is None:
        return None
    time, first, high, low, last, volume, quote, count = match.groups()
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return None
    if not EARLIEST <= moment <= now + CLOCK_TOLERANCE:
        return None
    _check_prices(Decimal(first), Decimal(high), Decimal(low), Decimal(last))
    return Candle(moment, f"{time}\t{first}\t{high}\t{low}\t{last}\t{volume}\t{quote or NULL}\t{count or NULL}\n")


def _unusual_row(row: Sequence[Any], now: datetime) -> Candle:
    if not REQUIRED <= len(row) <= len(COLUMNS):
        raise ValueError(f"must have {REQUIRED} to {len(COLUMNS)} values, not {len(row)}")
    values = dict(zip(COLUMNS, row, strict=False))
    if not isinstance(values["timestamp"], str):
        raise ValueError("timestamp: must be an RFC 3339 time as text")
    moment = _named("timestamp", lambda: refuse_future(parse_utc(values["timestamp"]), now))
    if moment.microsecond:
        raise ValueError("timestamp: must be a whole second")
    prices = [_decimal(name, values[name]) for name in COLUMNS[1:5]]
    _check_prices(*prices)
    quote_volume = values.get("quote_volume")
    volumes = [_decimal("volume", values["volume"])]
    volumes += [] if quote_volume is None else [_decimal("quote_volume", quote_volume)]
    if min(volumes) < 0:
        raise ValueError("volume: must not be negative")
    quote = NULL if quote_volume is None else volumes[1]
    cells = [str(moment), *prices, volumes[0], quote, _count(values.get("trades_count"))]
    return Candle(moment, "\t".join(map(str, cells)) + "\n")


def _check_prices(first: Decimal, high: Decimal, low: Decimal, last: Decimal) -> None:
    if low <= 0:
        raise ValueError("low: must be greater than 0")
    if not (low <= first <= high and low <= last <= high):
        raise ValueError("high must be the largest and low the smallest of the four prices")


def _decimal(name: str, value: Any) -> Decimal:
    number: Decimal = _named(name, lambda: to_decimal(value))
    return number


def _count(value: Any) -> str:
    if value is None:
        return NULL
    number = _decimal("trades_count", value)
    if number != int(number) or not 0 <= number <= MAX_INTEGER:
        raise ValueError("trades_count: must be a whole number that is not negative")
    return str(int(number))


def _named(name: str, read: Any) -> Any:
    try:
        return read()
    except PydanticCustomError as e:
        raise ValueError(f"{name}: {e.message()}") from e
    except ValueError as e:
        raise ValueError(f"{name}: {e}") from e
