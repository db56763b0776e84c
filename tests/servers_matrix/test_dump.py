"""A dump of this server, taken and restored as docs/time-series.md says, has every row again."""

import psycopg
import pytest
from django.db import connection

from tests.servers_matrix.databases import at, admin_url, content, database, major, manage, name_of, program, python


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


def restore(dump: bytes, target: str) -> None:
    done = program("pg_restore", "--no-owner", "--no-comments", "--exit-on-error", "-d", target, stdin=dump)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
