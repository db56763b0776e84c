"""Compares the migrated database with the models and names every difference.

What the models mean is not worked out here: the schema editor makes all of them once more in a scratch schema, inside
a transaction that is rolled back, and PostgreSQL describes both. So a default, a CHECK or an index is compared as the
server wrote it down, and a migration that does something else than the models say is found.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

from django.apps import apps
from django.db import connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from tradingdb.db_backend.base import DatabaseWrapper
from tradingdb.db_backend.schema import SchemaEditor
from tradingdb.lib.db import SEARCH_PATH, CompositeForeignKey
from tradingdb.management.catalog import Catalog, Facets, Part, Relation, read_catalog
from tradingdb.management.model_pages import schemas

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
    connection = cast(DatabaseWrapper, connections[using])
    expected = expected or expected_catalog(using)
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL search_path TO {', '.join(SEARCH_PATH)}")
        actual = read_catalog(connection)
    found = compare(expected, actual, declared_names())
    return sorted(each for each in found if not any(known.covers(each) for known in BESIDE))


# --- what the models mean


def expected_catalog(using: str) -> Catalog:
    """Return the catalog that the models make, each table in the schema where the migrations place it."""
    connection = cast(DatabaseWrapper, connections[using])
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT 'check_schema_' || pg_backend_pid()")
        scratch = str(cursor.fetchone()[0])
        cursor.execute(f"CREATE SCHEMA {scratch}")
        # The scratch schema comes first, so that every name means the table in it.
        cursor.execute(f"SET LOCAL search_path TO {', '.join((scratch, *SEARCH_PATH))}")
        with ScratchEditor(connection, atomic=False) as editor:
            editor.schema = scratch
            for model in apps.get_models():
                if model._meta.can_migrate(connection):
                    editor.create_model(model)
        with ScratchEditor(connection, atomic=False) as editor:
            for operation in composite_keys():
                operation.database_forwards("", editor, ProjectState(), ProjectState())
        made = read_catalog(connection, [scratch])
        transaction.set_rollback(True, using=using)
    return placed(made, scratch)


class ScratchEditor(SchemaEditor):
    """Makes hypertables beside those of the same name in another schema."""

    schema = ""

    def _get_extra_condition(self) -> str:
        return f" AND hypertable_schema = {self.quote_value(self.schema)}"


def composite_keys() -> list[CompositeForeignKey]:
    """Return the foreign keys over several columns; Django's models do not know them, the migrations do."""
    found = MigrationLoader(None).disk_migrations.values()
    return [each for migration in found for each in migration.operations if isinstance(each, CompositeForeignKey)]


def declared_names() -> set[str]:
    """Return the names that models and migrations give; all others are made up by Django or PostgreSQL."""
    names = {key.name for key in composite_keys()}
    for model in apps.get_models():
        names |= {rule.name for rule in model._meta.constraints} | {index.name for index in model._meta.indexes}
    return names


def placed(made: Catalog, scratch: str) -> Catalog:
    """Return the scratch catalog with each table in its schema; a partition is where its table is."""
    homes = schemas()

    def in_its_schema(name: str, table: str) -> str:
        table = table.removeprefix(f"{scratch}.")
        return f"{homes.get(table, 'public')}.{name.removeprefix(f'{scratch}.')}"

    relations = {}
    for name, relation in made.relations.items():
        relations[in_its_schema(name, relation.parent or name)] = relation
        if relation.parent:
            relation.parent = in_its_schema(relation.parent, relation.parent)
    return Catalog({"public", *homes.values()}, relations)


# --- the comparison


def compare(expected: Catalog, actual: Catalog, declared: set[str]) -> Iterator[Difference]:
    """Yield what is missing, what is too much and what is not the same.

    declared: names that somebody chose; an index or constraint of another name is known by what it does.
    """
    for schema in expected.schemas ^ actual.schemas:
        yield Difference(schema, "schema", "", MISSING if schema in expected.schemas else EXTRA)
    for name in {*expected.relations, *actual.relations}:
        wanted, found = expected.relations.get(name), actual.relations.get(name)
        if found and found.parent in expected.relations:
            yield from compare_partition(name, expected.relations[found.parent], found)
        elif found and wanted:
            yield from compare_relation(name, wanted, found, declared)
        elif wanted:
            yield Difference(name, "partition" if wanted.parent else wanted.kind, "", MISSING)
        elif found:
            yield Difference(name, found.kind, "", EXTRA)


def compare_relation(where: str, wanted: Relation, found: Relation, declared: set[str]) -> Iterator[Difference]:
    """Yield the differences of one table, view or sequence and of all that belongs to it."""
    if wanted.kind != found.kind:
        yield Difference(where, wanted.kind, "", f"is a {found.kind}")
        return
    if wanted.parent:
        yield Difference(where, "partition", "", f"is not attached to {wanted.parent}")
    yield from _differing(where, Part(wanted.kind, ""), wanted.facets, found.facets)
    yield from compare_parts(where, wanted, found, lambda part: part.name not in declared)


def compare_partition(where: str, table: Relation, found: Relation) -> Iterator[Difference]:
    """Yield the differences of a partition from what its table is meant to be; its numbers come from the table's."""
    parts = {part: facets for part, facets in table.parts.items() if part.kind != "sequence"}
    wanted = Relation(table.kind, {}, None, parts)
    # PostgreSQL makes up what these are called in a partition.
    yield from compare_parts(where, wanted, found, lambda part: part.kind in ("index", "constraint"))


def compare_parts(
    where: str, wanted: Relation, found: Relation, nameless: Callable[[Part], bool]
) -> Iterator[Difference]:
    """Yield the differences of what belongs to a relation; of nameless parts only what they do counts."""
    missing, extra = dict(wanted.parts), dict(found.parts)
    for part in wanted.parts.keys() & found.parts.keys():
        yield from _differing(where, part, missing.pop(part), extra.pop(part))
    for part in filter(nameless, wanted.parts.keys() & missing.keys()):
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
