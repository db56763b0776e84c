"""The migration operation that gives a time-series table its policy, and the policies of the applied migrations."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tradingdb.db_backend import community
from tradingdb.db_backend.policies import Policy


class TimeSeriesPolicy(Operation):
    """Say how long a time-series table keeps its rows; the arguments are those of Policy.

    TimescaleDB's community edition is given the jobs that do it. On TimescaleDB's Apache edition and on native
    partitions the database needs nothing: the maintenance that beat calls reads the policy from the applied
    migrations. Later operations on the same table replace it; the way back leaves the table without a policy.
    """

    reduces_to_sql = False
    reversible = True

    def __init__(
        self,
        table: str,
        *,
        keep: str | None = None,
        only: Mapping[str, Sequence[str]] | None = None,
        stored_at: str | None = None,
        compress_after: str | None = "7 days",
        segment_by: Sequence[str] = (),
    ) -> None:
        self.policy = Policy(
            table=table,
            keep=keep,
            only=dict(only or {}),
            stored_at=stored_at,
            compress_after=compress_after,
            segment_by=tuple(segment_by),
        )

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        policy = self.policy
        given = {
            "keep": policy.keep,
            "only": policy.only or None,
            "stored_at": policy.stored_at,
            "segment_by": policy.segment_by or None,
        }
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return self.__class__.__name__, [policy.table], {**options, "compress_after": policy.compress_after}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Django's state does not know policies."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        with schema_editor.connection.cursor() as cursor:
            community.assert_policy(cursor, self.policy)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        with schema_editor.connection.cursor() as cursor:
            community.take_back(cursor, self.policy.table)

    def describe(self) -> str:
        return f"Keep the rows of {self.policy.table} {self.policy}"


def applied_policies() -> dict[str, Policy]:
    """Return the policy of each table, from the migrations that this database has applied.

    A dump holds the list of applied migrations, so a restored database has its policies too.
    """
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    applied = executor.loader.applied_migrations
    return {
        operation.policy.table: operation.policy
        for migration, _ in plan
        if (migration.app_label, migration.name) in applied
        for operation in migration.operations
        if isinstance(operation, TimeSeriesPolicy)
    }
