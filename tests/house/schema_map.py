"""Holds docs/schema_map.toml against the seeds' columns and the migrated database: pure, so that it can be tested."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

# A drop says what stands in for the column; a bare "not needed" is no reason.
REASON = re.compile(r"(derived|wrong|replaced by [^:]+): \S")
LEAST_WORDS = 6


class SeedColumn(NamedTuple):
    """One column of a seed; `nullable` is None where the seed does not say."""

    table: str
    column: str
    type: str
    nullable: bool | None = None


class OurColumn(NamedTuple):
    """One column of the migrated database, with its type as PostgreSQL writes it."""

    type: str
    nullable: bool
    has_default: bool


class Type(NamedTuple):
    """A type cut down to what can be lost: its kind, and how much of it fits (None: any)."""

    kind: str
    size: int | None = None
    places: int | None = None


def problems(
    seeds: Iterable[SeedColumn], entries: Mapping[str, Mapping[str, Any]], ours: Mapping[str, OurColumn]
) -> Iterator[str]:
    """Yield what is wrong with a map.

    entries: section `system.table` to column to where it is now: text, `{to, note}` or `{dropped}`.
    ours: `schema.table.column` of every table and view.
    """
    known: dict[str, dict[str, SeedColumn]] = defaultdict(dict)
    for seed in seeds:
        known[seed.table][seed.column] = seed
    for table in entries.keys() - known.keys():
        yield f"{table}: no seed has this table"
    for table, columns in known.items():
        told = entries.get(table, {})
        yield from (f"{table}.{name}: no seed has this column" for name in told.keys() - columns.keys())
        for name, seed in columns.items():
            if name not in told:
                yield f"{table}.{name}: is missing"
            else:
                yield from (f"{table}.{name}: {problem}" for problem in _entry(seed, told[name], ours))
        yield from (f"{table}.{problem}" for problem in _shared(told))


def _entry(seed: SeedColumn, entry: Any, ours: Mapping[str, OurColumn]) -> Iterator[str]:
    told = {"to": entry} if isinstance(entry, str) else dict(entry)
    if set(told) == {"dropped"}:
        if not REASON.match(told["dropped"]) or len(told["dropped"].split()) < LEAST_WORDS:
            yield "is dropped without a reason that says what stands in for it"
        return
    if not {"to"} <= set(told) <= {"to", "note"}:
        yield f"says {', '.join(sorted(told))}; it is `to` with or without `note`, or `dropped`"
        return
    column = ours.get(told["to"])
    if column is None:
        yield f"there is no column {told['to']}"
        return
    if not told.get("note", "").strip():
        yield from (f"{why}; say why in a note" for why in losses(seed, column))


def _shared(told: Mapping[str, Any]) -> Iterator[str]:
    """Two columns that became one need a word on how to tell them apart."""
    homes = defaultdict(list)
    for name, entry in told.items():
        target = entry if isinstance(entry, str) else entry.get("to")
        if target:
            homes[target].append(name)
    for target, names in homes.items():
        for name in names if len(names) > 1 else []:
            if isinstance(told[name], str) or not told[name].get("note"):
                yield f"{name}: shares {target} with another column; say how in a note"


def losses(seed: SeedColumn, ours: OurColumn) -> Iterator[str]:
    """Yield what a seed's column holds that ours does not, in type and in NULL."""
    loss = narrower(seed.type, ours.type)
    if loss:
        yield loss
    if seed.nullable and not ours.nullable and not ours.has_default:
        yield "may be NULL in the seed, here it must be told"
    if seed.nullable is False and ours.nullable:
        yield "is always told in the seed, here it may be NULL"


def narrower(seed: str, ours: str) -> str | None:
    """Return why a type holds less than the seed's, or another kind of thing; None when all of it fits."""
    old, new = parse(seed), parse(ours)
    if old.kind != new.kind and (old.kind, new.kind) not in WIDER:
        return f"{seed} becomes {ours}, another kind"
    if _less(old.size, new.size) or _less(old.places, new.places):
        return f"{seed} becomes {ours}, which holds less"
    return None


def _less(old: int | None, new: int | None) -> bool:
    return new is not None and (old is None or old > new)


# Kinds into which another one fits whole.
WIDER = {("integer", "number"), ("word", "text"), ("uuid", "text"), ("day", "moment")}
INTEGERS = {"smallint": 5, "int": 10, "integer": 10, "serial": 10, "bigint": 19, "bigserial": 19}
KINDS = {
    "text": "text", "varchar": "text", "character varying": "text", "numeric": "number", "decimal": "number",
    "bool": "flag", "boolean": "flag", "timestamptz": "moment", "timestamp with time zone": "moment", "date": "day",
    "jsonb": "json", "uuid": "uuid", "bytea": "bytes", "double precision": "float", "inet": "address",
}  # fmt: skip
# The seeds' enumerations: words of a closed set.
WORDS = re.compile(r"(order|position|strategy|signal|model|event|log)_(type|side|status|direction|level)")


def parse(text: str) -> Type:
    """Return a type's kind and capacity: letters of a text, digits before and after the point of a number.

    Raises ValueError for a type it does not know.
    """
    match = re.fullmatch(r"([a-z_ ]+?)(?:\((\d+)(?:, ?(\d+))?\))?(\[\])?", text.lower())
    if match is None:
        raise ValueError(f"unknown type {text!r}")
    name, first, second, is_list = match.groups()
    one = _parse_one(name, int(first) if first else None, int(second or 0))
    return Type(f"list of {one.kind}", one.size, one.places) if is_list else one


def _parse_one(name: str, first: int | None, second: int) -> Type:
    if name in INTEGERS:
        return Type("integer", INTEGERS[name], 0)
    if name == "uuid":
        return Type("uuid", 36)
    if WORDS.fullmatch(name):
        # The longest word of any of them has 22 letters.
        return Type("word", 22)
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"unknown type {name!r}")
    if kind == "number" and first is not None:
        return Type(kind, first - second, second)
    return Type(kind, first)
