"""`up`, `down`, `run` and `status` with real servers: start, reuse, crash, recovery, refusal."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tradingdb.services.accounts import server_account
from tradingdb.services.instance import Instance
from tradingdb.services.processes import ProcessId, marked, wait_until
from tradingdb.services.servers import plan_servers, read_env_file
from tradingdb.services.state import port_is_free

OURS = ("postgres", "redis", "web", "worker", "beat")


def test_up_writes_pid_files_and_the_environment_of_the_instance(project):
    project.up()

    for name in (*OURS, "supervisor"):
        first_word = (project.state.run / f"{name}.pid").read_text().split()[0]
        assert Path(f"/proc/{first_word}").exists()
    values = read_env_file(project.state)
    assert list(values) == [
        *("BASE_URL", "DATABASE_URL", "BOT_DATABASE_URL", "ADMIN_DATABASE_URL", "REDIS_URL"),
        *("STATE_DIR", "SECRET_KEY_FILE", "FIELD_KEY_FILE", "AUDIT_KEY_FILE"),
    ]
    assert values["BASE_URL"] == f"http://127.0.0.1:{project.port}"
    assert project.state.env_file.stat().st_mode & 0o777 == 0o600
    assert project.log("migrate") == "migrate --noinput\n"
    assert project.log("bootstrap") == "bootstrap\n"


def test_down_leaves_nothing_alive_and_a_second_start_finds_its_rows(project):
    project.up()
    project.sql("CREATE TABLE kept AS SELECT 41 + 1 AS answer")
    first_urls = read_env_file(project.state)
    processes = [project.process(name) for name in OURS]

    result = project.call("down")

    assert result.returncode == 0
    assert [process for process in processes if process.is_alive()] == []
    assert marked(project.state.root) == []
    assert list(project.state.run.glob("*.pid")) == []
    assert port_is_free("127.0.0.1", project.port)
    project.up()
    assert project.sql("SELECT answer FROM kept") == [(42,)]
    assert read_env_file(project.state) == first_urls


def test_down_is_content_when_nothing_runs(project):
    result = project.call("down")

    assert (result.returncode, result.stdout.split("Z ")[1]) == (0, "nothing was running\n")
    assert not project.state.root.exists()


def test_a_second_up_says_that_it_runs_already(project):
    project.up()
    supervisor = project.process("supervisor")

    result = project.call("up", PORT=str(project.port + 1))

    assert result.returncode == 0
    assert f"already running in {project.state.root}" in result.stdout
    assert f"ready at http://127.0.0.1:{project.port}\n" in result.stdout
    assert project.process("supervisor") == supervisor


def test_what_is_killed_comes_back_and_no_committed_row_is_missing(project):
    project.up()
    project.sql("CREATE TABLE facts AS SELECT generate_series(1, 1000) AS n")

    for name in OURS:
        old = project.process(name)
        os.kill(old.pid, signal.SIGKILL)
        project.await_new(old, name)

    assert project.sql("SELECT count(*), sum(n) FROM facts") == [(1000, 500500)]
    assert project.sql("SHOW data_checksums", "ADMIN_DATABASE_URL") == [("on",)]
    assert "postgres (pid" in project.log("supervisor")
    assert "was killed by SIGKILL; starting again at once" in project.log("supervisor")
    assert "automatic recovery in progress" in project.log("postgres")


def test_up_recovers_from_a_killed_supervisor(project):
    project.up()
    project.sql("CREATE TABLE facts AS SELECT 1 AS n")
    left_over = [project.process(name) for name in OURS]
    supervisor = project.process("supervisor")

    os.kill(supervisor.pid, signal.SIGKILL)
    project.up()

    assert [process for process in left_over if process.is_alive()] == []
    assert project.process("supervisor") != supervisor
    assert project.sql("SELECT n FROM facts") == [(1,)]


def test_up_recovers_when_postmaster_and_supervisor_are_killed_together(project):
    project.up()
    project.sql("CREATE TABLE facts AS SELECT 1 AS n")

    for name in ("supervisor", "postgres"):
        os.kill(project.process(name).pid, signal.SIGKILL)
    project.up()

    assert project.sql("SELECT n FROM facts") == [(1,)]


def test_a_stranger_with_a_recorded_number_is_left_alone(project):
    project.state.create()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) as stranger:
        real = ProcessId.of(stranger.pid)
        assert real is not None
        project.state.pid_file("worker").write_text(f"{real.pid} {real.started - 1}\n")
        project.state.pid_file("web").write_text(f"{real.pid}\n")

        project.up()
        project.call("down")

        assert stranger.poll() is None
        stranger.kill()


def test_a_dead_postmaster_that_nobody_collects_does_not_stop_the_start(project):
    project.up()
    project.sql("CREATE TABLE facts AS SELECT 1 AS n")
    project.call("down")
    data = project.state.root / "postgres" / "data"
    account = server_account(data)
    identity = {"user": account.uid, "group": account.gid} if account else {}
    with subprocess.Popen(["/bin/true"], **identity) as zombie:
        assert wait_until(lambda: ProcessId.of(zombie.pid) is None, 10.0)
        # What a killed server leaves. Its number still answers to signals, so PostgreSQL alone would refuse for ever.
        (data / "postmaster.pid").write_text(f"{zombie.pid}\n{data}\n1\n1\n\n127.0.0.1\n\n")

        project.up()

    assert project.sql("SELECT n FROM facts") == [(1,)]


def test_a_taken_web_port_is_named_with_the_remedy(project):
    with socket.create_server(("127.0.0.1", project.port)):
        result = project.call("up")

    assert result.returncode == 1
    assert result.stderr == (
        f"error: Port {project.port} on 127.0.0.1 is taken by another program; "
        f"stop that program or name another port: PORT={project.port + 1}.\n"
    )
    assert not (project.state.root / "postgres").exists()


def test_a_state_folder_in_use_is_named_with_the_remedy(project):
    project.up()

    result = project.call("run", PORT=str(project.port + 1))

    assert result.returncode == 1
    assert result.stderr == (
        f"error: Another instance is running in {project.state.root}; "
        "stop it with `make down` or name another folder: STATE_DIR=/path/to/folder.\n"
    )


def test_a_state_folder_that_cannot_be_made_is_named(project, tmp_path):
    (tmp_path / "file").touch()

    result = project.call("up", STATE_DIR=str(tmp_path / "file" / "state"))

    assert result.returncode == 1
    assert result.stderr == (
        f"error: The state folder {tmp_path}/file/state cannot be used (Not a directory); "
        "name a folder you can write to: STATE_DIR=/path/to/folder.\n"
    )


def test_a_port_that_is_no_number_is_refused(project):
    result = project.call("up", PORT="eighty")

    assert (result.returncode, result.stderr) == (
        1,
        "error: PORT=eighty is not a whole number from 1 to 65535; correct it.\n",
    )


def test_a_failing_migration_stops_the_start_and_shows_why(project):
    (project.folder / "manage.py").write_text("raise SystemExit('no such column: profit')")

    result = project.call("up")

    assert result.returncode == 1
    said, last = result.stderr.split("Z ", 1)[1].rsplit("error: ", 1)
    assert said == "error: migrate failed:\n    no such column: profit\n"
    assert last == "the start failed and everything is stopped again.\n"
    assert project.call("status").returncode == 3
    assert marked(project.state.root) == []


def test_two_instances_run_side_by_side(make_project):
    one, other = make_project("one"), make_project("other")

    one.up()
    other.up()

    one.sql("CREATE TABLE mine AS SELECT 'one' AS name")
    other.sql("CREATE TABLE mine AS SELECT 'other' AS name")
    one.call("down")
    assert other.sql("SELECT name FROM mine") == [("other",)]
    assert [other.state.process(name) is None for name in OURS] == [False] * 5


def test_a_server_port_taken_meanwhile_is_exchanged(project):
    project.up()
    project.sql("CREATE TABLE facts AS SELECT 1 AS n")
    project.call("down")
    port = project.state.port("postgres")

    with socket.create_server(("127.0.0.1", port)):
        project.up()

        assert f":{port}/" not in read_env_file(project.state)["DATABASE_URL"]
        assert project.sql("SELECT n FROM facts") == [(1,)]


def test_run_starts_the_demo_and_ctrl_c_stops_everything(project):
    with subprocess.Popen(
        project.command("run", "--", "demo"), env=project.environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert wait_until(lambda: project.state.process("demo") is not None, 60.0)
        processes = list(project.state.processes().values())

        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert f"ready at http://127.0.0.1:{project.port}; the admin password is in {project.state.secrets}" in output
    assert len(processes) == 7
    assert [process for process in processes if process.is_alive()] == []


def test_no_secret_stands_on_a_command_line_or_in_a_log(project):
    project.up()
    secrets = [file.read_text().strip() for file in project.state.secrets.iterdir()]
    commands = b"".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()).decode()
    project.call("down")

    # Asked of the children too: Valkey writes over its command line once it runs.
    servers = plan_servers(project.state, project.environ)
    children = [*servers.children(), *Instance.from_environment(project.environ).our_children(servers.environment())]
    commands += " ".join(word for child in children for word in [*child.command, repr(child)])
    logs = "".join(file.read_text() for file in project.state.logs.iterdir())

    assert len(secrets) >= 8
    assert [secret for secret in secrets if secret in commands + logs] == []
    assert {file.stat().st_mode & 0o777 for file in project.state.secrets.iterdir()} <= {0o600, 0o400}
    assert project.state.secrets.stat().st_mode & 0o777 == 0o700


def test_given_servers_are_used_and_none_is_started(make_project):
    owner, guest = make_project("owner"), make_project("guest")
    owner.up()
    given = {name: url for name, url in read_env_file(owner.state).items() if name in ("DATABASE_URL", "REDIS_URL")}

    guest.up(**given)

    values = read_env_file(guest.state)
    assert values["DATABASE_URL"] == values["BOT_DATABASE_URL"] == given["DATABASE_URL"]
    assert values["REDIS_URL"] == given["REDIS_URL"]
    assert "ADMIN_DATABASE_URL" not in values
    assert set(guest.state.processes()) == {"supervisor", "web", "worker", "beat"}
