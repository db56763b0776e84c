"""Compares the migrated database with the models and names every difference."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from django.db import connections, transaction

from tradingdb.lib.db import SEARCH_PATH
from tradingdb.management.catalog import Catalog, Facets, Part, Relation, read_catalog
from tradingdb.management.expected import expected_catalog

# Kinds of which some have names that Django or PostgreSQL made up.
NAMED_BY_NOBODY = ("index", "constraint")
MISSING, EXTRA = "is missing", "is not in the models"


class Beside(NamedTuple):
    """Something that is rightly otherwise than in the models: patterns of what it is, where and its name."""

    kind: str
    where: str
    name: str
    reason: str

    def covers(self, difference: "Difference") -> bool:
        if difference.kind != self.kind or difference.problem == MISSING:
            return False
        return bool(re.fullmatch(self.where, difference.where) and re.fullmatch(self.name, difference.name))


BESIDE = (
    Beside("table", r"public\.django_migrations", "", "Django's own list of applied migrations"),
    Beside("column", r"public\.auth_group_permissions", "id", "Django's migrations make it wider than its model says"),
    Beside(
        "trigger",
        r"[a-z_]+\.[a-z_0-9]+",
        "trail_[a-z_]+",
        "made from audit/trail/tables.py, which verify_audit compares",
    ),
    Beside(
        "function", r"audit\.trail_[a-z_]+(\(.*\))?", "", "made from audit/trail/tables.py, which verify_audit compares"
    ),
    Beside("sequence", r"public\.auth_group_permissions", "auth_group_permissions_id_seq", "numbers that column"),
)


class Difference(NamedTuple):
    """One difference; as text a line such as `trading.orders: index idx_orders_x is missing`."""

    where: str
    kind: str
    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(filter(None, (self.kind, self.name)))} {self.problem}"


def schema_differences(*, using: str = "default", expected: Catalog | None = None) -> list[Difference]:
    """Return every difference between the database and the models, ordered by table. Changes nothing.

    `expected`: what the models make, when it is known from an earlier call of `expected_catalog`.
    """
    expected = expected or expected_catalog(using)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(f"SET LOCAL search_path TO {', '.join(SEARCH_PATH)}")
        actual = read_catalog(connections[using])
    found = compare(expected, actual)
    return sorted(each for each in found if not any(known.covers(each) for known in BESIDE))


def compare(expected: Catalog, actual: Catalog) -> Iterator[Difference]:
    """Yield what is missing, what is too much and what is not the same.

    An index or constraint whose name nobody chose is known by what it does.
    """
    for schema in expected.schemas ^ actual.schemas:
        yield Difference(schema, "schema", "", MISSING if schema in expected.schemas else EXTRA)
    for name in {*expected.relations, *actual.relations}:
        wanted, found = expected.relations.get(name), actual.relations.get(name)
        if found and found.parent in expected.relations:
            yield from compare_partition(name, expected.relations[found.parent], found)
        elif found and wanted:
            yield from compare_relation(name, wanted, found, expected.chosen_names)
        elif wanted:
            yield Difference(name, "partition" if wanted.parent else wanted.kind, "", MISSING)
        elif found:
            yield Difference(name, found.kind, "", EXTRA)


def compare_relation(where: str, wanted: Relation, found: Relation, chosen: set[str]) -> Iterator[Difference]:
    """Yield the differences of one table, view or sequence and of all that belongs to it."""
    if wanted.kind != found.kind:
        yield Difference(where, wanted.kind, "", f"is a {found.kind}")
        return
    if wanted.parent:
        yield Difference(where, "partition", "", f"is not attached to {wanted.parent}")
    yield from _differing(where, Part(wanted.kind, ""), wanted.facets, found.facets)
    yield from compare_parts(where, wanted, found, chosen)


def compare_partition(where: str, table: Relation, found: Relation) -> Iterator[Difference]:
    """Yield the differences of a partition from what its table is meant to be."""
    handed_down = {part: facets for part, facets in table.parts.items() if _is_handed_down(part, facets)}
    wanted = Relation(table.kind, {}, None, handed_down)
    # It is kept like any table, and is divided no further.
    yield from _differing(where, Part("partition", ""), {}, found.facets)
    # PostgreSQL makes up what indexes and constraints are called in a partition.
    yield from compare_parts(where, wanted, found, set())


def _is_handed_down(part: Part, facets: Facets) -> bool:
    """Whether partitions have what their table has: its numbers, policies and triggers on statements are its alone."""
    if part.kind == "trigger":
        return "FOR EACH STATEMENT" not in facets["definition"]
    return part.kind in ("column", "constraint", "index")


def compare_parts(where: str, wanted: Relation, found: Relation, chosen: set[str]) -> Iterator[Difference]:
    """Yield the differences of what belongs to a relation; of what nobody named only what it does counts."""
    missing, extra = dict(wanted.parts), dict(found.parts)
    for part in wanted.parts.keys() & found.parts.keys():
        yield from _differing(where, part, missing.pop(part), extra.pop(part))
    for part in [part for part in missing if part.kind in NAMED_BY_NOBODY and part.name not in chosen]:
        twin = next((each for each in extra if each.kind == part.kind and extra[each] == missing[part]), None)
        if twin is not None:
            del missing[part], extra[twin]
    yield from (Difference(where, *part, MISSING) for part in missing)
    yield from (Difference(where, *part, EXTRA) for part in extra)


def _differing(where: str, part: Part, wanted: Facets, found: Facets) -> Iterator[Difference]:
    for facet in {*wanted, *found}:
        want, have = wanted.get(facet, "none"), found.get(facet, "none")
        if want != have:
            yield Difference(where, *part, f"differs: {facet} is {have}, expected {want}")
