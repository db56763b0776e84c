"""Files that people bring: CSV and XLSX read into lines of text, bounded, and refused as a whole when they are odd."""

import csv
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from io import BytesIO, StringIO
from typing import Any, NamedTuple

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from tradingdb.lib.cells import SAFE_DIGITS
from tradingdb.lib.errors import ValidationFailed

MOST_BYTES = 1024 * 1024
MOST_ROWS = 2000
# What a compressed workbook may grow to; its own sheet is read line by line.
MOST_UNPACKED = 32 * 1024 * 1024


class Table(NamedTuple):
    """A file's header and its lines, each as long as the header."""

    headers: list[str]
    lines: list[list[str]]


def read_table(name: str, content: bytes) -> Table:
    """Return a file's table. Raises ValidationFailed with what is wrong with the file, and in which line."""
    if len(content) > MOST_BYTES:
        raise ValidationFailed(f"The file is larger than {MOST_BYTES // 1024} KiB.")
    if name.lower().endswith(".xlsx"):
        lines = sheet_lines(content)
    elif name.lower().endswith(".csv"):
        lines = csv_lines(content)
    else:
        raise ValidationFailed("The file must be CSV or XLSX, by its name.")
    headers = [word.strip() for word in next(lines, [])]
    check_headers(headers)
    table = Table(headers, [])
    last_empty = 0
    for number, line in enumerate(lines, 2):
        if not any(line):
            last_empty = last_empty or number
            continue
        if last_empty:
            raise ValidationFailed(f"Line {last_empty} is empty.")
        if len(line) != len(headers):
            raise ValidationFailed(f"Line {number} has {len(line)} cells, the first line has {len(headers)}.")
        if len(table.lines) >= MOST_ROWS:
            raise ValidationFailed(f"The file has more than {MOST_ROWS:,} rows; bring it in parts.")
        table.lines.append(line)
    if not table.lines:
        raise ValidationFailed("The file has no row.")
    return table


def check_headers(headers: list[str]) -> None:
    """Raise ValidationFailed for a first line that does not name each column once."""
    if not any(headers):
        raise ValidationFailed("The first line must name the columns.")
    twice = sorted({name for name in headers if headers.count(name) > 1})
    if twice or "" in headers:
        raise ValidationFailed(f"The first line must name each column once: {', '.join(twice) or 'one has no name'}.")


def csv_lines(content: bytes) -> Iterator[list[str]]:
    """Return the lines of a CSV file in UTF-8, with commas."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise ValidationFailed("The file is not UTF-8.") from e
    if "\x00" in text:
        raise ValidationFailed("The file holds a NUL character.")
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        yield from reader
    except csv.Error as e:
        raise ValidationFailed(f"Line {reader.line_num} is no CSV: {e}.") from e


def sheet_lines(content: bytes) -> Iterator[list[str]]:
    """Return the lines of the first sheet of a workbook."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MOST_UNPACKED:
                raise ValidationFailed("The workbook unpacks to more than is read here.")
        book = load_workbook(BytesIO(content), read_only=True)
        sheet = book.worksheets[0]
        # What a file says of its own size is not believed.
        sheet.reset_dimensions()
        width = 0
        for number, row in enumerate(sheet.iter_rows(), 1):
            line = [cell_text(cell, number) for cell in row]
            width = width or len(line)
            # A row ends with its last cell that holds something.
            yield line + [""] * (width - len(line))
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, IndexError, SyntaxError) as e:
        raise ValidationFailed("The file is no workbook that can be read.") from e


def cell_text(cell: Any, number: int) -> str:
    """Return what a cell of a workbook says. Raises ValidationFailed for a formula and for a float that lost digits."""
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise ValidationFailed(f"Line {number} holds a formula; bring values.")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        # Without a zone: a day may be one, a time is refused by its column.
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, float):
        text = repr(value)
        if sum(char.isdigit() for char in text.partition("e")[0]) > SAFE_DIGITS:
            raise ValidationFailed(f"Line {number}: {text} has more digits than a number cell keeps; make it text.")
        return text.removesuffix(".0")
    return value.isoformat() if isinstance(value, (date, time)) else str(value)
