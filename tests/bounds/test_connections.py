"""Every kind of connection has its bounds: the server is asked, over a connection made as the product makes it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import psycopg
import pytest

from tradingdb.lib.bounds import BOUNDS, REQUESTS, Bounds
from tradingdb.services.state import PROJECT
from tradingdb.services.throwaway import throwaway_servers

BARE = {name: value for name, value in os.environ.items() if not name.endswith("_URL") and name != "PROCESS_KIND"}
NAMES = tuple(REQUESTS.settings())
ASK = f"SELECT {', '.join(f'current_setting({name!r})::interval AS {name}' for name in NAMES)}"
# What each process does before it connects for the first time.
DJANGO = f"""
import json
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute({ASK!r})
    print(json.dumps([found.total_seconds() for found in cursor.fetchone()]))
"""
WEB = "import tradingdb.asgi" + DJANGO
SCRIPT = "import tradingdb; tradingdb.setup()" + DJANGO
WORKER = "import tradingdb.celery, django; django.setup()" + DJANGO
LANE = f"""
import asyncio, json, tradingdb
tradingdb.setup()
from bots.services.shell import Shell
async def ask():
    shell = Shell(size=2)
    await shell.open()
    async with shell._pool.connection() as session:
        row = await (await session.execute({ASK!r})).fetchone()
    await shell.close()
    print(json.dumps([found.total_seconds() for found in row.values()]))
asyncio.run(ask())
"""
BEAT = f"""
import json, tradingdb
tradingdb.setup()
from tradingdb.beat import BeatLock
lock = BeatLock()
assert lock.is_held()
print(json.dumps([found.total_seconds() for found in lock._connection.execute({ASK!r}).fetchone()]))
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[Mapping[str, str]]:
    with throwaway_servers(BARE) as variables:
        yield variables


def seconds(servers: Mapping[str, str], *command: str, **extra: str) -> list[float]:
    """Run a process of the product that asks for its bounds; return statement, lock and idle time in seconds."""
    environment = {**BARE, **servers, "DJANGO_SETTINGS_MODULE": "tradingdb.settings.dev", **extra}
    done = subprocess.run(
        [sys.executable, *command], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def of(bounds: Bounds) -> list[float]:
    return [float(bounds.statement), float(bounds.lock), float(bounds.idle)]


def test_requests_wait_as_long_as_the_design_says():
    assert (REQUESTS.statement, REQUESTS.lock, REQUESTS.idle) == (5, 2, 10)


@pytest.mark.parametrize("code", [WEB, SCRIPT], ids=["web", "script"])
@pytest.mark.parametrize("pooler", ["0", "1"], ids=["direct", "pgbouncer"])
def test_what_serves_requests_has_the_strictest_bounds(servers, code, pooler):
    assert seconds(servers, "-c", code, PGBOUNCER=pooler) == of(REQUESTS)


def test_jobs_and_commands_have_bounds_of_their_own(servers):
    assert seconds(servers, "-c", WORKER) == of(BOUNDS["worker"])
    assert seconds(servers, "manage.py", "shell", "-v", "0", "-c", DJANGO) == of(BOUNDS["command"])


@pytest.mark.parametrize("pooler", ["0", "1"], ids=["direct", "pgbouncer"])
def test_the_lane_has_the_strictest_bounds(servers, pooler):
    assert seconds(servers, "-c", LANE, PGBOUNCER=pooler) == of(REQUESTS)


def test_the_lock_of_beat_is_bounded(servers):
    statement, _, idle = seconds(servers, "-c", BEAT)

    assert (statement, idle) == (5.0, 60.0)


@pytest.mark.parametrize("role", ["DATABASE_URL", "BOT_DATABASE_URL"])
def test_a_login_that_tells_nothing_has_the_strictest_bounds(servers, role):
    with psycopg.connect(servers[role]) as session:
        row = session.execute(ASK).fetchone()

    assert row is not None
    assert [found.total_seconds() for found in row] == of(REQUESTS)


def test_no_connection_waits_for_ever_for_a_server_that_fell_silent(servers):
    code = (
        "import json, tradingdb; tradingdb.setup()\n"
        "from django.db import connection\n"
        "given = connection.get_connection_params()\n"
        "print(json.dumps([given['connect_timeout'], given['tcp_user_timeout'] / 1000]))"
    )

    assert seconds(servers, "-c", code) == [2.0, 10.0]


def test_an_unknown_kind_of_process_does_not_start(servers):
    with pytest.raises(AssertionError, match="PROCESS_KIND must be one of web, worker, command"):
        seconds(servers, "-c", SCRIPT, PROCESS_KIND="webb")
