"""The database wrapper: stock PostgreSQL plus the knowledge whether TimescaleDB is there."""

import logging

from django.db import ProgrammingError
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper
from django.utils.functional import cached_property

from tradingdb.db_backend.schema import SchemaEditor

logger = logging.getLogger(__name__)


class DatabaseWrapper(PostgresWrapper):
    """django-timescaledb's own wrapper stops on a server without the extension; this one asks first."""

    SchemaEditorClass = SchemaEditor

    @cached_property
    def has_timescaledb(self) -> bool:
        """Whether the extension is installed in this database."""
        with self.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
            return cursor.fetchone() is not None

    def prepare_database(self) -> None:
        """Install the extension where the server offers it; called by migrate."""
        super().prepare_database()
        with self.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'")
            if cursor.fetchone():
                try:
                    cursor.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
                except ProgrammingError:
                    # A login that may not install it uses native partitions, as on a server without it.
                    logger.warning("TimescaleDB is offered, but this login may not install it.")
        self.__dict__.pop("has_timescaledb", None)
