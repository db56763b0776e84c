"""Which tables a request has written to, told by triggers: so it can be asked after each of thousands of requests."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from tests.api.doors import tables

# When a token was last used, and when a session was last seen, is no content.
MAKE = """
    CREATE SCHEMA touched;
    CREATE TABLE touched.tables (name text);
    CREATE FUNCTION touched.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
    DECLARE
        use text[] := '{last_used_at,started_at,seen_at,session_data,expire_date}';
    BEGIN
        IF TG_OP <> 'UPDATE' OR to_jsonb(NEW) - use <> to_jsonb(OLD) - use THEN
            INSERT INTO touched.tables VALUES (TG_ARGV[0]);
        END IF;
        RETURN NULL;
    END $$
"""
WATCH = (
    "CREATE TRIGGER touched AFTER INSERT OR UPDATE OR DELETE ON {0} FOR EACH ROW EXECUTE FUNCTION touched.note('{0}')"
)


class Touched:
    """What was written to since the last time it was asked."""

    def __call__(self) -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM touched.tables RETURNING name")
            return {name for (name,) in cursor.fetchall()}


@contextmanager
def watched_tables() -> Iterator[Touched]:
    """Watch every table for the time of a test; rows that come and go in one transaction that fails do not count."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS touched CASCADE")
        watched = tables()
        cursor.execute(MAKE)
        for name in watched:
            cursor.execute(WATCH.format(name))
    try:
        yield Touched()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA touched CASCADE")
