"""The migrations on an empty database of this server: forward, all the way back, forward again."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db.migrations.loader import MigrationLoader

from tests.servers_matrix.databases import content, database, manage, python


@pytest.fixture
def empty() -> Iterator[str]:
    with database() as url:
        yield url


def names(url: str) -> set[str]:
    """Tables, views and sequences that are ours, partitions included."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname !~ '^(pg_|information_schema|_?timescaledb)' AND c.relkind IN ('r', 'p', 'v', 'm', 'S') "
            "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
        ).fetchall()
    return {name for (name,) in rows}


def functions(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT n.nspname || '.' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname !~ '^(pg_|information_schema|_?timescaledb)' "
            "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
        ).fetchall()
    return {name for (name,) in rows}


def test_from_zero_back_to_zero_and_forward_again(empty: str) -> None:
    manage(empty, "migrate", "-v0")
    fresh = (names(empty), functions(empty))
    python(empty, "from tests.servers_matrix.rows import fill_and_maintain; fill_and_maintain()")
    assert content(empty)["trading.market_data"][0] > 0
    manage(empty, "check_schema")

    apps = sorted(MigrationLoader(None).migrated_apps)
    python(
        empty,
        "from django.core.management import call_command; "
        f"[call_command('migrate', app, 'zero', verbosity=0) for app in {apps}]",
    )
    left = names(empty), functions(empty)
    manage(empty, "migrate", "-v0")

    assert left == ({"public.django_migrations", "public.django_migrations_id_seq"}, set())
    assert (names(empty), functions(empty)) == fresh


def test_models_and_migrations_agree(empty: str) -> None:
    assert "No changes detected" in manage(empty, "makemigrations", "--check", "--dry-run")
