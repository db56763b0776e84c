"""The state folder: secrets, ports, logs, pid files, and the claim of one supervisor."""

import base64
import os
import socket
from pathlib import Path

import pytest

from tradingdb.lib.keyring import load
from tradingdb.services.errors import ServiceError
from tradingdb.services.processes import ProcessId
from tradingdb.services.secret_files import load_secrets
from tradingdb.services.servers import read_env_file, write_env_file
from tradingdb.services.state import LOG_LIMIT_BYTES, PROJECT, SERVER_PORTS, Lock, StateDir, port_is_free


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.create()
    return state


def test_the_state_folder_lies_beside_the_makefile_unless_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert StateDir.from_environment({}).root == PROJECT / ".state"
    assert StateDir.from_environment({"STATE_DIR": ""}).root == PROJECT / ".state"
    assert StateDir.from_environment({"STATE_DIR": "here"}).root == tmp_path / "here"


def test_a_folder_that_is_there_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o750)

    StateDir(tmp_path).create()

    assert tmp_path.stat().st_mode & 0o777 == 0o750


def test_secrets_are_made_once_and_differ_between_folders(state, tmp_path):
    other = tmp_path / "other"
    other.mkdir()

    first, again, foreign = load_secrets(state.secrets), load_secrets(state.secrets), load_secrets(other)

    assert first == again
    assert len({first.superuser_password, first.app_password, first.bot_password, first.redis_password}) == 4
    assert first.app_password != foreign.app_password
    assert len(base64.b64decode((state.secrets / "audit_key").read_text())) == 32
    assert load(state.secrets / "field_keys").current_version == 1
    modes = {file.name: file.stat().st_mode & 0o777 for file in state.secrets.iterdir()}
    assert (modes.pop("audit_key"), modes.pop("field_keys")) == (0o400, 0o400)
    assert set(modes.values()) == {0o600}


def test_secrets_do_not_show_in_a_repr(state):
    secrets = load_secrets(state.secrets)

    assert repr(secrets) == f"Secrets(folder={state.secrets!r})"


def test_an_empty_secret_is_refused(state):
    load_secrets(state.secrets)
    (state.secrets / "redis").write_text("")

    with pytest.raises(ServiceError, match="redis is empty"):
        load_secrets(state.secrets)


def test_a_port_is_remembered_until_somebody_takes_it(state):
    first = state.port("postgres")

    assert first in SERVER_PORTS
    assert state.port("postgres") == first
    with socket.create_server(("127.0.0.1", first)):
        assert not port_is_free("127.0.0.1", first)
        assert state.port("postgres") != first


def test_a_damaged_list_of_ports_is_made_again(state):
    (state.run / "ports.json").write_text('{"postgres": 2')

    assert state.port("postgres") in SERVER_PORTS


def test_only_one_holds_the_lock(state):
    first, second = Lock(state), Lock(state)

    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()


def test_a_pid_file_names_a_process_only_while_it_is_the_same_one(state):
    state.write_pid("web", os.getpid())

    assert (state.run / "web.pid").read_text().split()[0] == str(os.getpid())
    assert state.process("web") == ProcessId.of(os.getpid())
    state.pid_file("web").write_text(f"{os.getpid()} 1\n")
    assert state.process("web") is None
    assert state.processes() == {}


@pytest.mark.parametrize("text", ["", "12", "12 x", "a b", "1 2 3"])
def test_a_damaged_pid_file_names_nobody(state, text):
    state.pid_file("web").write_text(text)

    assert state.process("web") is None


def test_a_large_log_is_put_aside_at_the_next_start(state):
    log = state.log_file("web")
    log.write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))

    assert state.log_file("web") == log
    assert not log.exists()
    assert (state.logs / "web.log.1").stat().st_size == LOG_LIMIT_BYTES + 1


def test_the_env_file_holds_key_and_value_lines_for_the_owner_only(state):
    values = {"BASE_URL": "http://127.0.0.1:8000", "REDIS_URL": "redis://:a=b@127.0.0.1:1/0"}

    write_env_file(state, values)

    assert state.env_file.read_text() == "BASE_URL=http://127.0.0.1:8000\nREDIS_URL=redis://:a=b@127.0.0.1:1/0\n"
    assert state.env_file.stat().st_mode & 0o777 == 0o600
    assert read_env_file(state) == values
