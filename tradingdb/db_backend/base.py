"""The database wrapper: stock PostgreSQL plus the knowledge whether TimescaleDB is there, and which edition."""

import logging

from django.db import ProgrammingError
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper
from django.utils.functional import cached_property

from tradingdb.db_backend.schema import SchemaEditor
from tradingdb.db_backend.telling import TellsWhoActs

logger = logging.getLogger(__name__)

COMMUNITY = "community"
APACHE = "apache"


class DatabaseWrapper(TellsWhoActs, PostgresWrapper):
    """django-timescaledb's own wrapper stops on a server without the extension; this one asks first."""

    SchemaEditorClass = SchemaEditor

    @cached_property
    def timescale_version(self) -> tuple[int, ...] | None:
        """Version of the extension in this database, (2, 19, 3); None when it is not installed."""
        with self.cursor() as cursor:
            cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
            row = cursor.fetchone()
        # A build of a development version says 2.30.0-dev.
        return tuple(int(part) for part in row[0].partition("-")[0].split(".")) if row else None

    @property
    def has_timescaledb(self) -> bool:
        """Whether the extension is installed in this database."""
        return self.timescale_version is not None

    @cached_property
    def timescale_edition(self) -> str | None:
        """`community`, or `apache`, which has hypertables but no policies; None without the extension."""
        if not self.has_timescaledb:
            return None
        with self.cursor() as cursor:
            cursor.execute("SELECT current_setting('timescaledb.license', true)")
            return COMMUNITY if cursor.fetchone()[0] == "timescale" else APACHE

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
        for name in ("timescale_version", "timescale_edition"):
            self.__dict__.pop(name, None)
