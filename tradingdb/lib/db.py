"""Migration operations and small database helpers: schemas by search_path, composite foreign keys."""

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

SEARCH_PATH = ("public", "trading", "analytics", "config", "audit", "accounts", "messaging", "jobs")


class SetSchema(Operation):
    """Move tables, with their partitions, from `public` into a PostgreSQL schema.

    Table names are unique over all schemas and found by search_path, so Django keeps plain names;
    the quoted '"trading"."bots"' trick loses indexes and foreign keys silently.
    Stands after the CreateModel operations of the same migration.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, schema: str, tables: Sequence[str]) -> None:
        self.schema = schema
        self.tables = list(tables)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return self.__class__.__name__, [self.schema, self.tables], {}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Django's state does not know schemas."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        schema_editor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema_editor.quote_name(self.schema)}")
        for table in self.tables:
            self._move(schema_editor, table, "public", self.schema)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for table in self.tables:
            self._move(schema_editor, table, self.schema, "public")

    def _move(self, schema_editor: BaseDatabaseSchemaEditor, table: str, old: str, new: str) -> None:
        quote = schema_editor.quote_name
        with schema_editor.connection.cursor() as cursor:
            # TimescaleDB keeps its chunks in a schema of its own; only native partitions move along.
            cursor.execute(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
                "JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE p.relname = %s AND n.nspname = %s",
                [table, old],
            )
            partitions = [row[0] for row in cursor.fetchall()]
        for name in [table, *partitions]:
            schema_editor.execute(f"ALTER TABLE {quote(old)}.{quote(name)} SET SCHEMA {quote(new)}")

    def describe(self) -> str:
        return f"Move {', '.join(self.tables)} into schema {self.schema}"


class CompositeForeignKey(Operation):
    """A foreign key over several columns, e.g. (bot_id, order_id): the natural keys bots speak in."""

    reduces_to_sql = True
    reversible = True

    def __init__(
        self, *, name: str, table: str, columns: Sequence[str], to_table: str, to_columns: Sequence[str]
    ) -> None:
        self.name, self.table, self.columns = name, table, list(columns)
        self.to_table, self.to_columns = to_table, list(to_columns)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return (
            self.__class__.__name__,
            [],
            {
                "name": self.name,
                "table": self.table,
                "columns": self.columns,
                "to_table": self.to_table,
                "to_columns": self.to_columns,
            },
        )

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The relation is the database's; Django's state does not know it."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        quote = schema_editor.quote_name
        own, other = (", ".join(map(quote, names)) for names in (self.columns, self.to_columns))
        schema_editor.execute(
            f"ALTER TABLE {quote(self.table)} ADD CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY ({own}) REFERENCES {quote(self.to_table)} ({other})"
        )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        quote = schema_editor.quote_name
        schema_editor.execute(f"ALTER TABLE {quote(self.table)} DROP CONSTRAINT {quote(self.name)}")

    def describe(self) -> str:
        return f"Foreign key {self.name} from {self.table} to {self.to_table}"
