"""Migration operations: schemas by search_path, composite foreign keys, row security, views, editions."""

from collections.abc import Mapping, Sequence
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


# The bot that a policy lets through: the one in the name of the login ("bot:momentum_001"), which nothing in a session
# changes; under the login that serves all bots, the one named for the transaction. The setting stays behind as '' once
# it was used, and no row of any table may have that for its bot. Landed migrations use it: another rule, another name.
# A query of its own is asked once a statement, and not for each row.
ACTING_BOT = (
    "(SELECT CASE WHEN starts_with(session_user, 'bot:') THEN substr(session_user, 5) "
    "ELSE nullif(current_setting('app.bot_id', true), '') END)"
)


class RowSecurity(Operation):
    """A policy on a table, and row security switched on for it.

    The table's owner is not bound: staff and jobs see everything. Several policies on one table add up as PostgreSQL
    says: a row must pass one permissive policy and every restrictive one.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self, table: str, name: str, *, rows: str = "", new_rows: str = "", command: str = "ALL",
        restrictive: bool = False,
    ) -> None:  # fmt: skip
        """rows: condition of the rows that exist (USING); new_rows: of those that are written (WITH CHECK)."""
        self.table, self.name, self.rows, self.new_rows = table, name, rows, new_rows
        self.command, self.restrictive = command, restrictive

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        options = {"rows": self.rows, "new_rows": self.new_rows, "command": self.command}
        return self.__class__.__name__, [self.table, self.name], options | {"restrictive": self.restrictive}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Policies are the database's; Django's state does not know them."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        quote = schema_editor.quote_name
        kind = "RESTRICTIVE" if self.restrictive else "PERMISSIVE"
        rules = f" USING ({self.rows})" if self.rows else ""
        rules += f" WITH CHECK ({self.new_rows})" if self.new_rows else ""
        schema_editor.execute(f"ALTER TABLE {quote(self.table)} ENABLE ROW LEVEL SECURITY")
        # No parameters: a % of a condition is its own.
        schema_editor.execute(
            f"CREATE POLICY {quote(self.name)} ON {quote(self.table)} AS {kind} FOR {self.command}{rules}", None
        )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        quote = schema_editor.quote_name
        schema_editor.execute(f"DROP POLICY {quote(self.name)} ON {quote(self.table)}")
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_policy WHERE polrelid = %s::regclass)", [self.table])
            if not cursor.fetchone()[0]:
                schema_editor.execute(f"ALTER TABLE {quote(self.table)} DISABLE ROW LEVEL SECURITY")

    def describe(self) -> str:
        return f"Policy {self.name} on {self.table}"


class CreateView(Operation):
    """A view in a PostgreSQL schema; with a unique index it is materialised. The way back drops it.

    Every name in the query stands with its schema: a restore runs with an empty search_path. A view holds on to the
    columns it reads, so a migration that changes or drops one of them drops the view before and creates it after.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self,
        name: str,
        query: str,
        *,
        schema: str,
        unique: Mapping[str, str] | None = None,
        indexes: Mapping[str, str] | None = None,
    ) -> None:
        """unique, indexes: columns of each index by its name; without a unique one no refresh is concurrent."""
        self.name, self.query, self.schema = name, query, schema
        self.unique, self.indexes = dict(unique or {}), dict(indexes or {})

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        options = {"schema": self.schema, "unique": self.unique, "indexes": self.indexes}
        return self.__class__.__name__, [self.name, self.query], options

    @property
    def kind(self) -> str:
        return "MATERIALIZED VIEW" if self.unique else "VIEW"

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Django's state has the view's unmanaged model, made by its own CreateModel."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        quote = schema_editor.quote_name
        view = f"{quote(self.schema)}.{quote(self.name)}"
        # No parameters: a % of the query is its own.
        schema_editor.execute(f"CREATE {self.kind} {view} AS {self.query}", None)
        for kind, indexes in (("UNIQUE INDEX", self.unique), ("INDEX", self.indexes)):
            for name, columns in indexes.items():
                schema_editor.execute(f"CREATE {kind} {quote(name)} ON {view} ({columns})")

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        quote = schema_editor.quote_name
        schema_editor.execute(f"DROP {self.kind} {quote(self.schema)}.{quote(self.name)}")

    def describe(self) -> str:
        return f"Create {self.kind.lower()} {self.schema}.{self.name}"


class ByEdition(Operation):
    """Some operations on TimescaleDB's community edition, others on its Apache edition and on plain PostgreSQL.

    The operations inside change the database only, never Django's state.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, *, community: Sequence[Operation], other: Sequence[Operation]) -> None:
        self.community, self.other = list(community), list(other)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return self.__class__.__name__, [], {"community": self.community, "other": self.other}

    def operations_for(self, schema_editor: BaseDatabaseSchemaEditor) -> list[Operation]:
        """Return those that this server gets."""
        edition = getattr(schema_editor.connection, "timescale_edition", None)
        return self.community if edition == "community" else self.other

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing: see above."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for operation in self.operations_for(schema_editor):
            operation.database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for operation in reversed(self.operations_for(schema_editor)):
            operation.database_backwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return "; ".join(operation.describe() for operation in self.other)
