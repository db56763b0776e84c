"""Where secrets stand in rows: every table and column that has ciphertexts, and how they are read and written again."""

# ruff: noqa: S608 (the texts are put together from our own names alone)

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.backends.utils import CursorWrapper

from accounts.adapters import FACTORS_TABLE
from config_app.models.api_keys import SECRET_COLUMNS
from config_app.services.api_keys import TABLE as API_KEYS
from tradingdb.lib.crypto import HEADER, Place

# How many letters of base64 the header of a ciphertext makes: a whole number of groups, so that it can be cut off.
HEADER_LETTERS = HEADER * 4 // 3


class Cell(NamedTuple):
    """One ciphertext of a row: its name among the row's, where it stands, and what it is."""

    name: str
    place: Place
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is locked, with its ciphertexts."""

    pk: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Store:
    """One table with ciphertexts: in columns of bytes, or as base64 in the members of a JSON column.

    name: the table with its schema. texts: SQL of each ciphertext as base64, by name. owner: the column by which its
    place is named. place: what the ciphertexts are bound to: table and column.
    """

    name: str
    texts: dict[str, str]
    owner: str
    place: Callable[[int, str], Place]
    update: str
    values: Callable[[dict[str, bytes], int], tuple[Any, ...]]

    def exists(self, cursor: CursorWrapper) -> bool:
        """Whether the table is there, with its columns: before the first migration it is not."""
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [self.name])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'key_version'", [self.name]
        )
        return self.name != API_KEYS or bool(cursor.fetchone()[0])

    def headers(self, cursor: CursorWrapper) -> Iterator[tuple[bytes, int]]:
        """Yield each beginning of a ciphertext there is, with the number of rows that have it."""
        cells = ", ".join(f"(left({text}, {HEADER_LETTERS}))" for text in self.texts.values())
        cursor.execute(
            f"SELECT header, count(DISTINCT t.id) FROM {self.name} t, LATERAL (VALUES {cells}) AS cell (header) "
            "WHERE header IS NOT NULL GROUP BY header ORDER BY header"  # names from code alone  # nosec B608
        )
        for header, number in cursor.fetchall():
            yield _bytes(header), number

    def lock(self, cursor: CursorWrapper, *, header: bytes, after: int, limit: int) -> list[Row]:
        """Lock the next rows that have a ciphertext with another beginning; those that others hold are left out."""
        wanted = b64encode(header).decode()
        names = ", ".join(self.texts.values())
        other = " OR ".join(f"left({text}, {HEADER_LETTERS}) <> %s" for text in self.texts.values())
        cursor.execute(
            f"SELECT t.id, t.{self.owner}, {names} FROM {self.name} t WHERE t.id > %s AND ({other}) "
            f"ORDER BY t.id LIMIT {int(limit)} FOR NO KEY UPDATE SKIP LOCKED",  # names from code alone  # nosec B608
            [after, *[wanted] * len(self.texts)],
        )
        return [self._row(*line) for line in cursor.fetchall()]

    def _row(self, pk: int, owner: int, *texts: str | None) -> Row:
        found = zip(self.texts, texts, strict=True)
        return Row(pk, [Cell(name, self.place(owner, name), _bytes(text)) for name, text in found if text is not None])

    def write(self, cursor: CursorWrapper, rows: Sequence[tuple[int, dict[str, bytes]]], version: int) -> None:
        """Write new ciphertexts of locked rows, all of a row at once."""
        cursor.executemany(self.update, [(*self.values(cells, version), pk) for pk, cells in rows])


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


def _api_key_place(owner: int, name: str) -> Place:
    return Place(API_KEYS, owner, name)


def _api_key_values(cells: dict[str, bytes], version: int) -> tuple[Any, ...]:
    return (*(cells.get(column) for column in SECRET_COLUMNS), version)


def _factor_place(owner: int, name: str) -> Place:
    return Place(FACTORS_TABLE, owner, "data")


def _factor_values(cells: dict[str, bytes], version: int) -> tuple[Any, ...]:
    return (json.dumps({name: b64encode(ciphertext).decode() for name, ciphertext in cells.items()}),)


def _joined(column: str) -> str:
    # PostgreSQL breaks base64 into lines.
    return f"translate(encode({column}, 'base64'), E'\\n', '')"


STORES: tuple[Store, ...] = (
    Store(
        name=API_KEYS,
        texts={column: _joined(f"t.{column}") for column in SECRET_COLUMNS},
        owner="id",
        place=_api_key_place,
        update=f"UPDATE {API_KEYS} SET {', '.join(f'{column} = %s' for column in SECRET_COLUMNS)}, key_version = %s "
        "WHERE id = %s",  # names from code alone  # nosec B608
        values=_api_key_values,
    ),
    # An app's secret and the seed of recovery codes; what a passkey leaves here is public.
    Store(
        name=f"public.{FACTORS_TABLE}",
        texts={name: f"t.data ->> '{name}'" for name in ("secret", "seed")},
        owner="user_id",
        place=_factor_place,
        update=f"UPDATE public.{FACTORS_TABLE} SET data = data || %s::jsonb WHERE id = %s",  # names from code alone  # nosec B608
        values=_factor_values,
    ),
)
