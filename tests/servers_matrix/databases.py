"""Databases beside the test database, and manage.py and the server's own programs run on them."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tradingdb.lib.db import SEARCH_PATH
from tradingdb.services.binaries import find_postgres

ROOT = Path(__file__).parents[2]
# Every row of ours by table, and a sum over their texts that tells two contents apart.
TABLES = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
"""
CONTENT = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {} t"


def admin_url() -> str:
    """The superuser's URL where the servers were started by us, else the application's."""
    return os.environ.get("ADMIN_DATABASE_URL") or os.environ["DATABASE_URL"]


@contextmanager
def database() -> Iterator[str]:
    """An empty database that belongs to the application; gives the application's URL of it, and drops it."""
    url, name = os.environ["DATABASE_URL"], f"matrix_{secrets.token_hex(4)}"
    # A busy machine takes longer over files than the role's bound for statements allows.
    unbounded = "-c statement_timeout=0 -c lock_timeout=0"
    with psycopg.connect(url, autocommit=True, options=unbounded) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield at(url, name)
    finally:
        with psycopg.connect(url, autocommit=True, options=unbounded) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def at(url: str, database: str) -> str:
    """The same server and login with another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def name_of(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def manage(url: str, *words: str) -> str:
    """Run manage.py on a database and return what it says; raise with its output when it fails."""
    return run([sys.executable, "manage.py", *words], url)


def python(url: str, code: str) -> str:
    """Run lines of Python with Django set up on a database."""
    return run([sys.executable, "-c", f"import django; django.setup(); {code}"], url)


def run(command: list[str], url: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "BOT_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def program(name: str, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run one of the server's own programs."""
    path = find_postgres(os.environ).program(name)
    return subprocess.run([path, *words], input=stdin, capture_output=True, check=False)


def content(url: str) -> dict[str, tuple[int, str]]:
    """Number of rows and their checksum, by table."""
    with psycopg.connect(url, options=f"-c search_path={','.join(SEARCH_PATH)} -c timezone=UTC") as connection:
        names = [name for (name,) in connection.execute(TABLES, [list(SEARCH_PATH)])]
        found = {name: connection.execute(CONTENT.format(name)).fetchone() for name in names}
    return {name: (row[0], str(row[1])) for name, row in found.items() if row is not None}


def has_timescaledb() -> bool:
    """Whether this server offers the extension; every migrated database on it has it then."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        found = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
    return found is not None
