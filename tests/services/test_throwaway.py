"""Servers for the time of one command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tradingdb.services.processes import ProcessId, wait_until
from tradingdb.services.state import PROJECT, Lock, StateDir
from tradingdb.services.throwaway import throwaway_servers

BARE = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
EXEC = [sys.executable, "-m", "tradingdb.services", "exec"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return BARE | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}


def test_exec_returns_the_status_of_its_command_and_leaves_no_folder(environ, tmp_path):
    command = [*EXEC, "--", "/bin/sh", "-c", 'test -n "$DATABASE_URL$REDIS_URL" && exit 7']

    assert subprocess.run(command, env=environ, check=False).returncode == 7
    assert list(tmp_path.iterdir()) == []


def test_exec_names_a_command_that_cannot_be_run(environ, tmp_path):
    result = subprocess.run([*EXEC, "--", "./missing"], env=environ, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (1, "error: ./missing cannot be run: No such file or directory.\n")
    assert list(tmp_path.iterdir()) == []


def test_exec_starts_nothing_when_both_servers_are_given(environ, tmp_path):
    given = {"DATABASE_URL": "postgresql://elsewhere/db", "REDIS_URL": "redis://elsewhere"}
    command = [*EXEC, "--", "/bin/sh", "-c", 'echo "$DATABASE_URL $REDIS_URL"; ls "$TMPDIR"']

    output = subprocess.run(command, env=environ | given, capture_output=True, text=True, check=True).stdout

    assert output == "postgresql://elsewhere/db redis://elsewhere\n"


def test_a_given_server_is_passed_on_and_only_the_other_one_is_started(tmp_path, monkeypatch):
    with throwaway_servers(BARE | {"DATABASE_URL": "postgresql://elsewhere/db"}) as variables:
        assert variables["DATABASE_URL"] == variables["BOT_DATABASE_URL"] == "postgresql://elsewhere/db"
        assert variables["REDIS_URL"].startswith("redis://:")
        assert not (Path(variables["STATE_DIR"]) / "postgres").exists()


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
def test_only_durable_servers_wait_for_the_disk(durable, fsync):
    with throwaway_servers(BARE, durable=durable) as variables, psycopg.connect(variables["DATABASE_URL"]) as session:
        settings = session.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')").fetchone()

    assert settings == (fsync, fsync)


def test_servers_of_a_killed_run_end_and_the_next_run_removes_its_folder(environ, tmp_path):
    with subprocess.Popen([*EXEC, "--", "/bin/sleep", "3600"], env=environ) as run:
        assert wait_until(lambda: any(postmasters(tmp_path)), 30.0)
        (postmaster,) = postmasters(tmp_path)
        run.kill()
    (folder,) = tmp_path.iterdir()
    assert wait_until(lambda: not postmaster.is_alive(), 10.0)
    an_hour_ago = time.time() - 3600
    os.utime(folder, (an_hour_ago, an_hour_ago))

    subprocess.run([*EXEC, "--", "/bin/true"], env=environ, check=True)

    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_run_is_kept(environ, tmp_path):
    state = StateDir(tmp_path / "tradingdb-servers-alive")
    state.create()
    lock = Lock(state)
    lock.take()
    os.utime(state.root, (0, 0))

    subprocess.run([*EXEC, "--", "/bin/true"], env=environ, check=True)

    assert list(tmp_path.iterdir()) == [state.root]
    lock.release()


def test_a_terminated_exec_ends_its_command_first(environ, tmp_path):
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); print('up', flush=True); "
    command = [*EXEC, "--", sys.executable, "-c", code + "signal.pause()"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "up\n"

        run.send_signal(signal.SIGTERM)

        assert run.wait(timeout=30) == 5
    assert list(tmp_path.iterdir()) == []


def postmasters(folder: Path) -> list[ProcessId]:
    found = []
    for file in folder.glob("*/postgres/data/postmaster.pid"):
        lines = file.read_text().splitlines()
        process = ProcessId.of(int(lines[0])) if lines else None
        found += [process] if process else []
    return found
