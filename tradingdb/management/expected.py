"""What the models mean, in PostgreSQL's words.

It is not worked out here: the schema editor makes all models once more in a scratch schema, inside a transaction that
is rolled back, and the catalog is read. So a default, a CHECK or an index is described as the server wrote it down.
"""

import re
from collections.abc import Iterable, Iterator
from typing import cast

from django.apps import apps
from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations import RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tradingdb.db_backend.base import COMMUNITY, DatabaseWrapper
from tradingdb.db_backend.schema import SchemaEditor
from tradingdb.lib.db import SEARCH_PATH, ByEdition, CompositeForeignKey, CreateView, RowSecurity
from tradingdb.management.catalog import Catalog, Part, Relation, read_catalog
from tradingdb.management.model_pages import schemas

# A name that stands with one of our schemas.
OF_OURS = re.compile(rf"\b({'|'.join(SEARCH_PATH[1:])})\.([a-z_]+)")


def expected_catalog(using: str) -> Catalog:
    """Return the catalog that the models make, each table in the schema where the migrations place it."""
    connection = cast(DatabaseWrapper, connections[using])
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT 'check_schema_' || pg_backend_pid()")
        scratch = Scratch(str(cursor.fetchone()[0]))
        cursor.execute(f"CREATE SCHEMA {scratch.name}")
        # The scratch schema comes first, so that every name means what is in it.
        cursor.execute(f"SET LOCAL search_path TO {', '.join((scratch.name, *SEARCH_PATH))}")
        with ScratchEditor(connection, atomic=False) as editor:
            editor.schema = scratch.name
            for model in apps.get_models():
                if model._meta.can_migrate(connection):
                    editor.create_model(model)
        with ScratchEditor(connection, atomic=False) as editor:
            for operation in scratch.operations(connection):
                operation.database_forwards("", editor, ProjectState(), ProjectState())
        made = scratch.placed(read_catalog(connection, [scratch.name]))
        for view, columns in view_columns(connection).items():
            _say_types(made.relations.get(view), columns)
        made.chosen_names = chosen_names(connection)
        transaction.set_rollback(True, using=using)
    return made


class ScratchEditor(SchemaEditor):
    """Makes hypertables beside those of the same name in another schema."""

    schema = ""

    def _get_extra_condition(self) -> str:
        return f" AND hypertable_schema = {self.quote_value(self.schema)}"


class Scratch:
    """The schema in which everything is made once more, and the way of names into it and back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.homes = schemas()

    def operations(self, connection: DatabaseWrapper) -> Iterator[Operation]:
        """Yield what the migrations make and the models do not know, with every name leading into the scratch schema.

        Of several operations that make one view the last counts. SQL that has state operations does by hand what the
        models say; SQL that makes sense only where it first ran says `hints={"check_schema": False}`.
        """
        views = {}
        for operation in database_operations(connection):
            if isinstance(operation, (CompositeForeignKey, RowSecurity)):
                yield operation
            elif isinstance(operation, RunSQL):
                if operation.state_operations or not operation.hints.get("check_schema", True):
                    continue
                assert isinstance(operation.sql, str), "the drift check reads SQL as one text"
                yield RunSQL(self._inside(operation.sql))
            elif isinstance(operation, CreateView):
                views[operation.name] = operation
        for view in views.values():
            query = self._inside(view.query)
            yield CreateView(view.name, query, schema=self.name, unique=view.unique, indexes=view.indexes)

    def _inside(self, sql: str) -> str:
        for schema, name in OF_OURS.findall(sql):
            self.homes.setdefault(name, schema)
        return OF_OURS.sub(rf"{self.name}.\2", sql)

    def placed(self, made: Catalog) -> Catalog:
        """Return the scratch catalog with everything in its schema; a partition is where its table is."""
        relations = {}
        for name, relation in made.relations.items():
            relations[self._place(name, relation.parent or name)] = relation
            if relation.parent:
                relation.parent = self._place(relation.parent, relation.parent)
        return Catalog({"public", *self.homes.values()}, relations)

    def _place(self, name: str, table: str) -> str:
        table = table.removeprefix(f"{self.name}.").partition("(")[0]
        return f"{self.homes.get(table, 'public')}.{name.removeprefix(f'{self.name}.')}"


def database_operations(connection: DatabaseWrapper) -> Iterator[Operation]:
    """Yield every operation of every migration in order, for the edition of this server."""
    executor = MigrationExecutor(connection)
    for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True):
        yield from _of_edition(migration.operations, connection.timescale_edition)


def _of_edition(operations: Iterable[Operation], edition: str | None) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, ByEdition):
            yield from _of_edition(operation.community if edition == COMMUNITY else operation.other, edition)
        else:
            yield operation


def view_columns(connection: DatabaseWrapper) -> dict[str, dict[str, str]]:
    """Return the columns of each view as its unmanaged model says, with PostgreSQL's words for their types."""
    homes, found = schemas(), {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            if not model._meta.managed:
                columns = {str(field.column): field.db_type(connection) for field in model._meta.concrete_fields}
                nulls = ", ".join(f"NULL::{kind} AS {connection.ops.quote_name(c)}" for c, kind in columns.items())
                cursor.execute(f"CREATE TEMPORARY VIEW check_schema AS SELECT {nulls}")
                cursor.execute(
                    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                    "WHERE attrelid = 'pg_temp.check_schema'::regclass"
                )
                found[f"{homes[model._meta.db_table]}.{model._meta.db_table}"] = dict(cursor.fetchall())
                cursor.execute("DROP VIEW pg_temp.check_schema")
    return found


def _say_types(view: Relation | None, columns: dict[str, str]) -> None:
    """Let a view be expected with the columns of its model, whatever its query makes."""
    assert view is not None, "an unmanaged model without a CreateView"
    made = {part.name: facets for part, facets in view.parts.items() if part.kind == "column"}
    view.parts = {part: facets for part, facets in view.parts.items() if part.kind != "column"}
    for name, kind in columns.items():
        view.parts[Part("column", name)] = {**made.get(name, {"null": "allowed"}), "type": kind}


def chosen_names(connection: DatabaseWrapper) -> set[str]:
    """Return the names that models and migrations give; all others are made up by Django or PostgreSQL."""
    names = set()
    for operation in database_operations(connection):
        if isinstance(operation, CompositeForeignKey):
            names.add(operation.name)
        elif isinstance(operation, CreateView):
            names |= {*operation.unique, *operation.indexes}
    for model in apps.get_models():
        names |= {rule.name for rule in model._meta.constraints} | {index.name for index in model._meta.indexes}
    return names
