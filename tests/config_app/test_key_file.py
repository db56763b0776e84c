"""The key file: what it must be, how a running process follows it, and that nothing starts with a bad one."""

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery.signals import beat_init, worker_init
from django.conf import settings as project
from django.core.management import CommandError, call_command

from config_app.checks import check_file, check_rows
from tests.factories import ExchangeApiKeyFactory
from tradingdb.asgi import Application
from tradingdb.lib.crypto import Place, decrypt, encrypt
from tradingdb.lib.keyring import KeyFileError, KeyName, load, new_keyring, parse, store
from tradingdb.lib.private_files import write_private

KEY, OTHER = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
HERE = Place("a.table", 7, "column")


def one(key: str) -> str:
    return f"current 1\n1 {key}\n"


BAD_TEXTS = {
    "empty": ("", "it holds no key"),
    "only a comment": ("# none\n", "it holds no key"),
    "a bare key": (f"{KEY}\n", "line 1 is neither"),
    "a word too much": (f"current 1\n1 {KEY} again\n", "line 2 is neither"),
    "short": (one(base64.b64encode(os.urandom(31)).decode()), "version 1 has 31 bytes and not 32"),
    "long": (one(base64.b64encode(os.urandom(33)).decode()), "version 1 has 33 bytes and not 32"),
    "not base64": (one("*" * 44), "version 1 is not base64"),
    "zeros": (one(base64.b64encode(bytes(32)).decode()), "version 1 is not random"),
    "typed": (one(base64.b64encode(b"passwordpasswordpasswordpassword").decode()), "version 1 is not random"),
    "the same version twice": (f"{one(KEY)}1 {OTHER}\n", "version 1 is there twice"),
    "the same key twice": (f"{one(KEY)}2 {KEY}\n", "version 2 is the same key as another"),
    "no current one": (f"1 {KEY}\n", "no line says which version is current"),
    "another current one": (f"current 2\n1 {KEY}\n", "version 2 is said to be current and is not there"),
    "two current ones": (f"current 1\n{one(KEY)}", "line 2 does not say once which version is current"),
    "version zero": (f"current 0\n0 {KEY}\n", "versions go from 1"),
    "a version too high": (f"current 1\n32768 {KEY}\n", "versions go from 1"),
}
each_bad = pytest.mark.parametrize(("text", "words"), BAD_TEXTS.values(), ids=BAD_TEXTS)


@each_bad
def test_a_bad_file_is_refused_with_one_sentence_that_shows_no_key(key_file: Path, text: str, words: str) -> None:
    write_private(key_file, text)

    problems = check_file()

    assert [problem.id for problem in problems] == ["config_app.E001"]
    told = problems[0].msg
    assert told.startswith(f"FIELD_KEY_FILE: {key_file}: ")
    assert words in told
    assert told.count("\n") == 0
    assert KEY not in told
    assert OTHER not in told


def group_reads(path: Path) -> None:
    path.chmod(0o440)


def others_read(path: Path) -> None:
    path.chmod(0o404)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def bytes_instead(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(os.urandom(32) + b"\xff")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (Path.unlink, "does not exist"),
        (group_reads, "can be read by others; chmod 400 it"),
        (others_read, "can be read by others; chmod 400 it"),
        (folder_instead, "is no file"),
        (bytes_instead, "is no text"),
    ],
)
def test_a_file_that_is_missing_open_or_none_is_refused(
    key_file: Path, harm: Callable[[Path], Any], words: str
) -> None:
    assert check_file() == []

    harm(key_file)

    assert words in check_file()[0].msg


def test_a_file_of_another_user_is_refused(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(key_file, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)

    assert "belongs to another user" in check_file()[0].msg


def test_keys_show_in_no_repr() -> None:
    ring = parse(one(KEY))

    shown = f"{ring!r} {ring.current!r} {ring.current} {ring.current.name}"

    assert KEY not in shown
    assert repr(ring.current.raw) not in shown


def test_what_is_written_is_read_again_and_is_the_owner_s_alone(tmp_path: Path) -> None:
    path, ring = tmp_path / "keys", new_keyring().with_new().using(2).with_new()

    store(path, ring)

    assert load(path) == ring
    assert path.stat().st_mode & 0o777 == 0o400
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


# --- a running process


def test_a_process_follows_the_file_without_a_restart(key_file: Path) -> None:
    old = encrypt(b"secret", at=HERE)

    store(key_file, load(key_file).with_new().using(2))
    new = encrypt(b"secret", at=HERE)

    assert (old[2], new[2]) == (1, 2)
    assert decrypt(old, at=HERE) == decrypt(new, at=HERE) == b"secret"


@pytest.mark.parametrize("harm", [Path.unlink, others_read, lambda path: write_private(path, "rubbish")])
def test_a_process_with_keys_goes_on_when_the_file_goes_bad_and_says_so_once(
    key_file: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], Any]
) -> None:
    secret = encrypt(b"secret", at=HERE)

    harm(key_file)

    assert decrypt(secret, at=HERE) == decrypt(secret, at=HERE) == b"secret"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "The keys read before stay in use." in caplog.text


# --- starts


@pytest.mark.django_db
def test_rows_under_a_key_that_the_file_lacks_refuse_the_start(key_file: Path) -> None:
    made = [ExchangeApiKeyFactory() for _ in range(3)]
    name = load(key_file).current.name
    assert check_rows(databases=["default"]) == []

    store(key_file, new_keyring())  # the same number, another key

    problems = check_rows(databases=["default"])
    assert [problem.id for problem in problems] == ["config_app.E002"]
    assert f"{len(made)} rows are encrypted with key {name}" in problems[0].msg
    assert "put the file with that key back" in problems[0].msg
    with pytest.raises(CommandError, match="rows are encrypted with key 1"):
        call_command("key_status")


@pytest.mark.django_db
def test_rows_under_a_key_refuse_a_start_without_any_file(key_file: Path, settings: Any) -> None:
    ExchangeApiKeyFactory()

    settings.FIELD_KEY_FILE = None

    assert check_file() == []
    assert "no file is named that holds it" in check_rows(databases=["default"])[0].msg


@pytest.mark.django_db
@pytest.mark.parametrize("signal", [worker_init, beat_init])
def test_worker_and_beat_end_at_once_with_a_bad_file(key_file: Path, signal: Any) -> None:
    key_file.unlink()

    # What else begins with a process would go on in this one.
    [receiver] = [one for one in signal._live_receivers(None) if one.__module__.startswith("config_app.")]
    with pytest.raises(SystemExit, match=r"FIELD_KEY_FILE: .* does not exist\."):
        receiver(sender=None)


def startup() -> list[Any]:
    """Open the web application as its server does; return what it answers."""
    told: list[Any] = []
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        told.append(message)

    asyncio.run(Application()({"type": "lifespan"}, receive, send))
    return told


@pytest.mark.django_db(transaction=True)
def test_the_web_server_does_not_open_with_a_bad_file(key_file: Path) -> None:
    key_file.chmod(0o644)

    (told,) = startup()

    assert told["type"] == "lifespan.startup.failed"
    assert "can be read by others" in told["message"]


def test_a_command_is_refused_in_one_sentence_and_the_ones_that_mend_it_are_not(tmp_path: Path) -> None:
    path = tmp_path / "field_keys"

    def manage(*words: str) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, "FIELD_KEY_FILE": str(path), "DJANGO_SETTINGS_MODULE": "tradingdb.settings.test"}
        return subprocess.run([sys.executable, "manage.py", *words], cwd=project.BASE_DIR, env=environ, text=True,
                              capture_output=True, check=False)  # fmt: skip

    refused, made, checked = manage("check"), manage("make_key_file"), manage("check")

    assert refused.returncode == 1
    assert f"FIELD_KEY_FILE: {path} does not exist." in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (made.returncode, checked.returncode) == (0, 0), made.stderr + checked.stderr
    assert load(path).current_version == 1
    assert path.stat().st_mode & 0o777 == 0o400


def test_a_key_file_is_never_overwritten(key_file: Path) -> None:
    before = key_file.read_text()

    with pytest.raises(CommandError, match="is there already"):
        call_command("make_key_file", str(key_file))

    assert key_file.read_text() == before


def test_a_file_that_cannot_be_written_says_so(key_file: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be written"):
        store(key_file / "below", new_keyring())


def test_a_key_is_named_by_its_number_and_a_check() -> None:
    first, second = new_keyring().current.name, new_keyring().current.name

    assert first.version == second.version == 1
    assert first != second
    assert isinstance(first, KeyName)
