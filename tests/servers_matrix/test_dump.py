"""A dump of this server, taken and restored as docs/time-series.md says, has every row again."""

import psycopg
import pytest

from tests.servers_matrix.databases import (
    admin_url,
    at,
    content,
    database,
    has_timescaledb,
    manage,
    name_of,
    program,
    python,
)


def test_a_restored_dump_has_the_same_rows_in_every_table() -> None:
    with database() as source, database() as target:
        manage(source, "migrate", "-v0")
        python(source, "from tests.servers_matrix.rows import fill_and_maintain; fill_and_maintain()")
        before = content(source)

        dumped = program("pg_dump", "-Fc", source)
        restore(dumped.stdout, target)

        assert dumped.returncode == 0, dumped.stderr
        assert content(target) == before
        assert before["trading.market_data"][0] == 10
        assert before["audit.system_events"][0] >= 6
        assert manage(target, "time_series") == manage(source, "time_series")


def test_the_invariants_tell_a_sound_restore_from_a_damaged_one() -> None:
    with database() as source, database() as target:
        manage(source, "migrate", "-v0")
        manage(source, "generate_books", "--bots", "2", "--trades", "20", "--candles", "20", "--days", "2")
        backfill = "from tests.servers_matrix.rows import compute_metrics; compute_metrics()"
        python(source, backfill)

        restore(program("pg_dump", "-Fc", source).stdout, target)

        assert "invariants hold." in manage(target, "verify_ledger")
        assert "figures that differ: 0" in manage(target, "rebuild_ledger", "--check")
        with psycopg.connect(target, autocommit=True) as connection:
            connection.execute(
                "DELETE FROM trading.fills WHERE id IN (SELECT id FROM trading.fills ORDER BY id DESC LIMIT 1)"
            )
        with pytest.raises(AssertionError, match="invariants are broken"):
            manage(target, "verify_ledger")
        with pytest.raises(AssertionError, match="figures that differ"):
            manage(target, "rebuild_ledger", "--check")


def restore(dump: bytes, target: str) -> None:
    """Restore as the application; with TimescaleDB as superuser, between its two functions."""
    if not has_timescaledb():
        return pg_restore(dump, target, "--no-owner", "--no-comments")
    url = at(admin_url(), name_of(target))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        connection.execute("SELECT timescaledb_pre_restore()")
    pg_restore(dump, url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT timescaledb_post_restore()")
    return None


def pg_restore(dump: bytes, target: str, *words: str) -> None:
    done = program("pg_restore", "--exit-on-error", *words, "-d", target, stdin=dump)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
