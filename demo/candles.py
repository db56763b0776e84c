"""Candle files: what one candle is, and a strict reader for `SYMBOL-interval.csv[.gz]`.

A bad row is left out and named, as the API does; a gap between candles is no fault.
"""

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path

SAMPLE_FOLDER = Path(__file__).parent / "data"
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
INTERVALS = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14400,
    "6h": 21600,
    "12h": 43200,
    "1d": 86400,
}
QUOTES = ("USDT", "USDC", "USD", "BTC", "ETH", "EUR")
ACCOUNT_QUOTES = ("USDT", "USD", "USDC")
# The API takes at most 100,000 rows a call; half of it keeps a bot's memory small.
MAX_CANDLES = 50_000
# Fewer candles than this cannot warm an indicator and then be traded.
MIN_CANDLES = 60
MAX_TRADED_SYMBOLS = 5
MAX_DECIMALS = 18

# A double holds 15 decimal digits; what stands behind them in a file is the noise of binary floats.
_DOUBLE_DIGITS = 15
_DOUBLE = Context(prec=_DOUBLE_DIGITS)


class CandleFileError(ValueError):
    """A file that is not a candle file at all."""


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle; `timestamp` is its opening time (aware, UTC), prices are in the quote currency."""

    timestamp: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True)
class CandleSet:
    """The candles of one symbol and interval, oldest first, no time twice."""

    symbol: str
    interval: str
    candles: tuple[Candle, ...]

    @property
    def seconds(self) -> int:
        """Length of one candle in seconds."""
        return INTERVALS[self.interval]

    @property
    def quote(self) -> str | None:
        """The quote currency, or None when the symbol does not tell it."""
        return quote_of(self.symbol)

    @cached_property
    def price_step(self) -> Decimal:
        """The smallest price change the closes show, as a power of ten."""
        return price_step(candle.close for candle in self.candles)

    def csv(self) -> bytes:
        """The candles as the API takes them, with a header row."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for c in self.candles:
            values = (c.open, c.high, c.low, c.close, c.volume)
            writer.writerow([rfc3339(c.timestamp), *(plain(value) for value in values)])
        return text.getvalue().encode()


@dataclass(frozen=True)
class Library:
    """All candle sets of a folder, and one sentence for each thing that was left out."""

    sets: tuple[CandleSet, ...]
    notices: tuple[str, ...]


def plain(value: Decimal) -> str:
    """Return a decimal as the API wants it: no exponent, no trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def rfc3339(moment: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def quote_of(symbol: str) -> str | None:
    """Return the quote currency at the end of a symbol: BTCUSDT → USDT, GOOGL → None."""
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return quote
    return None


def price_step(closes: Iterable[Decimal]) -> Decimal:
    """Return the power of ten of the finest close."""
    finest = 0
    for close in closes:
        exponent = close.normalize().as_tuple().exponent
        finest = min(finest, int(exponent))
    return Decimal(1).scaleb(finest)


def read_library(folder: Path | None = None) -> Library:
    """Read every candle file of a folder, the project's own sample when none is given.

    Raises CandleFileError when the folder is missing or holds no candles.
    """
    folder = SAMPLE_FOLDER if folder is None else folder
    if not folder.is_dir():
        raise CandleFileError(f"{folder} is not a folder")
    sets: list[CandleSet] = []
    notices: list[str] = []
    for path in sorted(folder.iterdir()):
        if not path.name.endswith((".csv", ".csv.gz")):
            continue
        try:
            found, left_out = read_file(path)
        except CandleFileError as error:
            notices.append(f"{path.name} skipped: {error}")
            continue
        notices.extend(f"{path.name}: {notice}" for notice in left_out)
        if any((other.symbol, other.interval) == (found.symbol, found.interval) for other in sets):
            notices.append(f"{path.name} skipped: {found.symbol} {found.interval} was already read")
            continue
        sets.append(found)
    if not sets:
        raise CandleFileError(f"{folder} holds no candles")
    return Library(tuple(sets), tuple(notices))


def read_file(path: Path) -> tuple[CandleSet, list[str]]:
    """Return the candles of one file and a sentence for each row that was left out.

    Raises CandleFileError when its name gives no interval, or it cannot be read as candles.
    """
    symbol, interval = _name_parts(path.name)
    candles: list[Candle] = []
    notices: list[str] = []
    try:
        with _open_text(path) as text:
            for number, row in enumerate(_rows(text), start=2):
                try:
                    candle = _candle(row)
                    if candles and candle.timestamp <= candles[-1].timestamp:
                        raise ValueError("timestamp is not later than the row before")
                except ValueError as error:
                    notices.append(f"row {number} left out: {error}")
                    continue
                candles.append(candle)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise CandleFileError(f"it cannot be read: {error}") from error
    if len(candles) < MIN_CANDLES:
        raise CandleFileError(f"{len(candles)} good candles are too few (at least {MIN_CANDLES})")
    if len(candles) > MAX_CANDLES:
        notices.append(f"only the newest {MAX_CANDLES} of {len(candles)} candles are used")
    return CandleSet(symbol, interval, tuple(candles[-MAX_CANDLES:])), notices


def account_quote(sets: Sequence[CandleSet]) -> str | None:
    """Return the currency the bots' accounts are kept in: USDT, else USD, else USDC, else the commonest."""
    quotes = Counter(candle_set.quote for candle_set in sets if candle_set.quote)
    for quote in ACCOUNT_QUOTES:
        if quotes[quote]:
            return quote
    return min(quotes, key=lambda quote: (-quotes[quote], quote), default=None)


def replayed(sets: Sequence[CandleSet]) -> list[CandleSet]:
    """Return one set a symbol, its shortest interval, in order of symbol: what the prices follow."""
    finest: dict[str, CandleSet] = {}
    for candle_set in sorted(sets, key=lambda s: (s.symbol, s.seconds)):
        finest.setdefault(candle_set.symbol, candle_set)
    return list(finest.values())


def traded(sets: Sequence[CandleSet]) -> list[CandleSet]:
    """Return the sets the bots trade: quoted in the account currency, at most five, longest first."""
    quote = account_quote(sets)
    if quote is None:
        return []
    mine = [candle_set for candle_set in replayed(sets) if candle_set.quote == quote]
    mine.sort(key=lambda s: (-len(s.candles), s.symbol))
    return sorted(mine[:MAX_TRADED_SYMBOLS], key=lambda s: s.symbol)


def _name_parts(name: str) -> tuple[str, str]:
    symbol, dash, interval = name.removesuffix(".gz").removesuffix(".csv").rpartition("-")
    if not dash or not symbol or not symbol.isascii() or not symbol.isalnum() or symbol != symbol.upper():
        raise CandleFileError("its name is not SYMBOL-interval")
    if interval not in INTERVALS:
        raise CandleFileError(f"{interval!r} is not a candle interval")
    return symbol, interval


def _open_text(path: Path) -> io.TextIOBase:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _rows(text: Iterable[str]) -> Iterator[list[str]]:
    reader = csv.reader(text, strict=True)
    header = next(reader, None)
    if header is None or tuple(header) != COLUMNS:
        raise CandleFileError(f"its header is not {','.join(COLUMNS)}")
    yield from reader


def _candle(row: list[str]) -> Candle:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} fields instead of {len(COLUMNS)}")
    timestamp = _time(row[0])
    open_, high, low, close, volume = (_number(name, text) for name, text in zip(COLUMNS[1:], row[1:], strict=True))
    if min(open_, high, low, close) <= 0:
        raise ValueError("a price is not positive")
    if volume < 0:
        raise ValueError("the volume is negative")
    if high < max(open_, close, low) or low > min(open_, close):
        raise ValueError("high and low do not enclose open and close")
    return Candle(timestamp, open_, high, low, close, volume)


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"timestamp {text[:40]!r} is not ISO 8601") from error
    if moment.tzinfo is None:
        raise ValueError(f"timestamp {text[:40]!r} has no offset")
    return moment.astimezone(UTC)


def _number(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{name} {text[:40]!r} is not a number") from error
    if not value.is_finite():
        raise ValueError(f"{name} {text[:40]!r} is not finite")
    if len(value.as_tuple().digits) > _DOUBLE_DIGITS:
        value = _DOUBLE.plus(value)
    value = value.normalize()
    if int(value.as_tuple().exponent) < -MAX_DECIMALS:
        raise ValueError(f"{name} has more than {MAX_DECIMALS} decimals")
    return value
