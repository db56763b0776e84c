"""A new version takes over while keys are used and replaced: nothing is lost, and a run that was killed goes on.

ROWS=10000 is the full number (`make test-keys`).
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from accounts.services.factors import use_code
from audit.models import Change, UserAction
from audit.services.actions import SYSTEM, Actor
from config_app.models import ExchangeApiKey
from config_app.models.api_keys import SECRET_COLUMNS
from config_app.services import field_keys
from config_app.services.api_keys import TABLE, ExchangeSecret, api_key_set, api_key_use, fingerprint
from config_app.services.field_keys import (
    KeyRotationFailed,
    keys_status,
    rotation_end,
    rows_by_key,
    rows_rotate,
    version_stage,
    version_use,
    versions_remove,
)
from jobs.models import JobRun, JobSchedule
from jobs.services.runs import run_execute, run_tell
from tests.accounts.conftest import code_of, enrol, recovery_codes, stored_factor
from tests.factories import ExchangeApiKeyFactory, UserFactory
from tests.jobs.celery_processes import environment
from tradingdb.lib import crypto
from tradingdb.lib.keyring import load, new_keyring, store

ROWS = int(os.environ.get("ROWS", "300"))
READER = Actor(name="bot:reader")


def keys_made(number: int) -> list[int]:
    """Store so many keys in one go; the secret of each names its row and its first generation."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('config.api_keys', 'id')) FROM generate_series(1, %s)", [number]
        )
        ids = [pk for (pk,) in cursor.fetchall()]
    ring, now = crypto.keyring(), timezone.now()

    def made(pk: int) -> ExchangeApiKey:
        texts = {"api_key_encrypted": f"key {pk}", "api_secret_encrypted": f"secret {pk} 0"}
        row = ExchangeApiKey(id=pk, exchange="bybit", label=f"key {pk}", key_version=ring.current_version,
                             key_set_at=now, key_set_by="ann", key_fingerprint=fingerprint(f"key {pk}"))  # fmt: skip
        for column, text in texts.items():
            setattr(row, column, crypto.encrypt(text.encode(), at=crypto.Place(TABLE, pk, column), ring=ring))
        return row

    ExchangeApiKey.objects.bulk_create([made(pk) for pk in ids], batch_size=1000)
    return ids


def versions() -> Counter[int]:
    """Return the rows of keys by the version in their ciphertexts."""
    return Counter({name.version: rows for name, rows in rows_by_key()[TABLE].items() if name is not None})


def secret_of(pk: int) -> str:
    return api_key_use(key_id=pk, purpose="read", actor=READER).api_secret


def manage(*words: str, stdout: Any = subprocess.PIPE) -> "subprocess.Popen[str]":
    """Start a command in a process of its own, on the test's database and key file."""
    environ = {**environment(""), "FIELD_KEY_FILE": str(crypto.settings.FIELD_KEY_FILE), "PROCESS_KIND": "command"}
    return subprocess.Popen([sys.executable, "manage.py", *words], cwd=crypto.settings.BASE_DIR, env=environ, text=True,
                            stdout=stdout, stderr=subprocess.STDOUT)  # fmt: skip


# --- by hand


@pytest.mark.django_db
def test_a_rotation_from_the_new_key_to_the_old_one_s_end(key_file: Path) -> None:
    ids = keys_made(5)
    person = UserFactory()
    app, codes = enrol(person), recovery_codes(person)
    old = bytes(ExchangeApiKey.objects.defer(None).get(pk=ids[0]).api_key_encrypted)

    assert version_use(actor=SYSTEM, reason="yearly") == 2
    done = rows_rotate()

    # Two of the rows are the person's.
    assert rotation_end(done) == {
        "version": 2, "rewritten": 7, "left": 0, "free": [1], "unreadable": 0, "examples": []
    }  # fmt: skip
    assert versions() == {2: 5}
    assert set(ExchangeApiKey.objects.values_list("key_version", flat=True)) == {2}
    assert [secret_of(pk) for pk in ids] == [f"secret {pk} 0" for pk in ids]
    assert versions_remove(actor=SYSTEM) == [1]
    assert list(load(key_file).keys) == [2]
    with pytest.raises(crypto.KeyMissing):
        crypto.decrypt(old, at=crypto.Place(TABLE, ids[0], "api_key_encrypted"))
    assert use_code(user=person, code=code_of(app)) is not None
    assert use_code(user=person, code=codes[0]) is not None
    assert list(UserAction.objects.filter(resource_type="field_keys").order_by("pk").values_list(
        "action", "resource_id", "reason"
    )) == [("field_keys.use", "2", "yearly"), ("field_keys.remove", "1", "")]  # fmt: skip
    assert set(Change.objects.filter(table_name="api_keys", operation="update").values_list("reason", flat=True)) >= {
        "encrypted again under the current key"
    }


@pytest.mark.django_db
def test_a_second_run_has_nothing_to_do(key_file: Path) -> None:
    keys_made(5)
    version_use(actor=SYSTEM)
    rows_rotate()
    before = list(ExchangeApiKey.objects.values_list(*SECRET_COLUMNS))

    done = rows_rotate()

    assert (done.rewritten, done.left) == (0, 0)
    assert list(ExchangeApiKey.objects.values_list(*SECRET_COLUMNS)) == before


@pytest.mark.django_db
def test_a_staged_key_encrypts_nothing_until_it_is_used(key_file: Path) -> None:
    assert version_stage(actor=SYSTEM) == version_stage(actor=SYSTEM) == 2
    ids = keys_made(1)
    assert versions() == {1: 1}
    # A machine that already uses the staged one, and one that has only heard of it.
    ahead = crypto.keyring().using(2)
    place = crypto.Place(TABLE, ids[0], "api_key_encrypted")

    assert crypto.decrypt(crypto.encrypt(b"x", at=place, ring=ahead), at=place) == b"x"
    assert rows_rotate().rewritten == 0
    assert versions_remove(actor=SYSTEM) == [], "the staged one has no rows yet, and stays"
    assert version_use(actor=SYSTEM) == 2


@pytest.mark.django_db
def test_a_version_that_a_row_needs_is_not_removed(key_file: Path) -> None:
    keys_made(2)
    version_use(actor=SYSTEM)

    assert versions_remove(actor=SYSTEM) == []
    assert (keys_status()["free"], list(load(key_file).keys)) == ([], [1, 2])


@pytest.mark.django_db
def test_rows_that_do_not_open_are_named_and_keep_their_key(key_file: Path) -> None:
    ids = keys_made(4)
    rows = {row.pk: row for row in ExchangeApiKey.objects.defer(None)}
    # One with the ciphertexts of its neighbour, one with a changed byte.
    moved, changed = rows[ids[1]], rows[ids[2]]
    moved.api_secret_encrypted = rows[ids[0]].api_secret_encrypted
    changed.api_key_encrypted = bytes(changed.api_key_encrypted)[:-1] + b"?"
    for row in (moved, changed):
        row.save(update_fields=["api_secret_encrypted", "api_key_encrypted"])
    version_use(actor=SYSTEM)

    done = rows_rotate()

    assert (done.rewritten, done.left, done.free) == (2, 2, [])
    with pytest.raises(KeyRotationFailed) as caught:
        rotation_end(done)
    assert caught.value.message.startswith("2 rows do not open and stay as they are:")
    assert f"config.api_keys {ids[1]} api_secret_encrypted" in caught.value.message
    assert f"config.api_keys {ids[2]} api_key_encrypted" in caught.value.message
    assert versions() == {1: 2, 2: 2}
    assert versions_remove(actor=SYSTEM) == []


@pytest.mark.django_db
def test_what_is_no_ciphertext_stops_neither_start_nor_rotation(key_file: Path) -> None:
    person = UserFactory()
    enrol(person)
    factor = stored_factor(person)
    factor.data["secret"] = "JBSWY3DPEHPK3PXP"
    factor.save()
    keys_made(1)
    version_use(actor=SYSTEM)

    done = rows_rotate()

    assert (done.rewritten, len(done.unreadable)) == (1, 1)
    assert field_keys.unfit() == []
    status = keys_status()
    assert (status["unknown"], status["problems"]) == (1, [])


@pytest.mark.django_db
def test_the_time_that_is_over_leaves_whole_rows_and_says_so(key_file: Path) -> None:
    keys_made(5)
    version_use(actor=SYSTEM)

    done = rows_rotate(seconds=0)

    assert versions() == {1: 5}
    with pytest.raises(KeyRotationFailed, match="5 rows are left"):
        rotation_end(done)


# --- as a job, and by command


@pytest.mark.django_db
def test_the_job_keeps_how_far_it_is(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys_made(5)
    monkeypatch.setattr("jobs.registry.rows_rotate", lambda tell: rows_rotate(tell=tell, batch=2))
    out = StringIO()
    call_command("rotate_keys", "--reason", "yearly", stdout=out)
    seen: list[Any] = []

    def watch(run: JobRun, state: Any) -> None:
        """Look at the run as a page would, after each time it told something."""
        run_tell(run, state)
        seen.append((JobRun.objects.get().status, JobRun.objects.get().result["left"]))

    monkeypatch.setattr("jobs.services.runs.run_tell", watch)
    run = JobRun.objects.get()

    ended = run_execute(run_id=run.pk, worker_id="w1")

    assert ended is not None
    assert run_execute(run_id=run.pk, worker_id="w2") is None
    assert (ended.status, ended.result["rewritten"], ended.result["free"]) == ("completed", 5, [1])
    assert seen == [("running", 5), ("running", 3), ("running", 1), ("running", 0), ("running", 0)]
    schedule = JobSchedule.objects.get()
    assert (schedule.target, schedule.cron, schedule.enabled, run.job_id) == (
        "rotate_keys", "17 * * * *", True, schedule.pk
    )  # fmt: skip
    assert "version 2 encrypts from now on" in out.getvalue()


@pytest.mark.django_db
def test_a_job_that_leaves_rows_fails_and_says_how_far_it_came(key_file: Path) -> None:
    keys_made(3)
    ExchangeApiKeyFactory(api_key_encrypted=bytes([1, 0, 1]) + load(key_file).current.name.check + bytes(50))
    call_command("rotate_keys", stdout=StringIO())

    run = run_execute(run_id=JobRun.objects.get().pk, worker_id="w")

    assert run is not None
    assert run.status == "failed"
    assert run.error.startswith("1 rows do not open")
    assert (run.result["rewritten"], run.result["left"], run.result["unreadable"]) == (3, 1, 1)


@pytest.mark.django_db
def test_commands_tell_what_they_did(key_file: Path) -> None:
    keys_made(2)

    def said(*words: str) -> str:
        out = StringIO()
        call_command(*words, stdout=out)
        return out.getvalue()

    assert "version 1 (" in said("key_status")
    assert "version 2 waits" in said("rotate_keys", "--stage")
    assert "2 rows encrypted again under version 2" in (told := said("rotate_keys", "--now"))
    assert "free to be removed with --remove-old: 1" in told
    assert "0 rows encrypted again" in said("rotate_keys", "--resume", "--now")
    assert "removed: 1" in said("rotate_keys", "--remove-old")
    assert "nothing to remove" in said("rotate_keys", "--remove-old")
    assert "current: 2 of config.api_keys, 0 of public.mfa_authenticator" in said("key_status")
    key_file.unlink()
    with pytest.raises(CommandError, match="does not exist"):
        call_command("rotate_keys", "--now")


@pytest.mark.django_db
def test_a_file_that_cannot_be_written_changes_nothing(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_file.read_text()

    def read_only(*args: Any, **options: Any) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("tradingdb.lib.keyring.write_private", read_only)

    with pytest.raises(CommandError, match="cannot be written \\(Read-only file system\\)"):
        call_command("rotate_keys", "--now")

    assert key_file.read_text() == before
    assert not UserAction.objects.exists()


# --- while they are used


class Users:
    """People and programs that use and replace keys until they are told to stop; what they find wrong is kept."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        self.generations = dict.fromkeys(ids, 0)
        self.wrong: list[str] = []
        self.reads = self.writes = 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(work, number))
                        for number, work in enumerate((self.read, self.read, self.write))]  # fmt: skip

    def __enter__(self) -> "Users":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def run(self, work: Callable[[int], None], number: int) -> None:
        turn = number
        try:
            while not self.over.is_set():
                # Coprime to most numbers of rows: all over the table, and never in its order.
                turn += 7919
                work(self.ids[turn % len(self.ids)])
                time.sleep(0.002)
        except Exception as e:
            self.wrong.append(f"{work.__name__}: {e!r}")
        finally:
            connection.close()

    def read(self, pk: int) -> None:
        least = self.generations[pk]
        words = secret_of(pk).split()
        self.reads += 1
        if words[:2] != ["secret", str(pk)] or int(words[2]) < least:
            self.wrong.append(f"{pk} at {least}: {words}")

    def write(self, pk: int) -> None:
        new = self.generations[pk] + 1
        api_key_set(key_id=pk, secret=ExchangeSecret(f"key {pk}", f"secret {pk} {new}"), actor=READER)
        self.generations[pk] = new
        self.writes += 1


def await_that(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def assert_all_open(users: Users) -> None:
    assert users.wrong == []
    for pk in users.ids:
        assert secret_of(pk) == f"secret {pk} {users.generations[pk]}"


@pytest.mark.django_db(transaction=True)
def test_keys_rotate_while_they_are_used_and_replaced(key_file: Path) -> None:
    ids = keys_made(ROWS)
    with Users(ids) as users:
        await_that(lambda: users.reads > 5 and users.writes > 5)
        process = manage("rotate_keys", "--now", "--reason", "drill")
        told, _ = process.communicate(timeout=300)
        reads = users.reads
        await_that(lambda: users.reads > reads + 5)

    assert process.returncode == 0, told
    assert users.reads > 10
    assert versions() == {2: ROWS}
    assert versions_remove(actor=SYSTEM) == [1]
    assert_all_open(users)


@contextmanager
def slow_updates(seconds: float) -> Iterator[None]:
    """Let each row that is written take its time, so that a process can be killed in the middle."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); "
            "RETURN new; END $$"
        )
        cursor.execute("CREATE TRIGGER slow BEFORE UPDATE OF key_version ON config.api_keys FOR EACH ROW "
                       "EXECUTE FUNCTION public.slow()")  # fmt: skip
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION public.slow() CASCADE")


@pytest.mark.django_db(transaction=True)
def test_a_rotation_that_is_killed_half_way_is_taken_up_again(key_file: Path) -> None:
    ids = keys_made(max(ROWS, 2 * field_keys.BATCH + 50))
    with slow_updates(0.002):
        process = manage("rotate_keys", "--now")
        await_that(lambda: versions()[2] >= field_keys.BATCH)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    half = versions()
    assert half[1] > 0
    assert half[2] % field_keys.BATCH == 0, "a batch is written whole or not at all"
    assert versions_remove(actor=SYSTEM) == []
    with Users(ids) as users:
        done = rows_rotate()

    assert done.left == 0
    assert versions() == {2: len(ids)}
    assert_all_open(users)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_holds_is_waited_for_and_what_they_write_stays(key_file: Path) -> None:
    ids = keys_made(3)
    version_use(actor=SYSTEM)
    held, go_on = threading.Event(), threading.Event()

    def replace() -> None:
        try:
            with transaction.atomic():
                api_key_set(key_id=ids[1], secret=ExchangeSecret("k", "replaced"), actor=SYSTEM)
                held.set()
                go_on.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=replace)
    thread.start()
    held.wait(20)
    told: list[dict[str, Any]] = []

    def tell(state: dict[str, Any]) -> None:
        told.append(state)
        if state["rewritten"] == 2:
            go_on.set()

    done = rows_rotate(tell=tell)
    thread.join()

    assert (done.rewritten, done.left) == (2, 0)
    assert secret_of(ids[1]) == "replaced"
    assert versions() == {2: 3}


@pytest.mark.django_db(transaction=True)
def test_two_rotations_at_once_do_the_work_once(key_file: Path) -> None:
    ids = keys_made(ROWS)
    version_use(actor=SYSTEM)
    done = []

    def rotate() -> None:
        try:
            done.append(rows_rotate(batch=20))
        finally:
            connection.close()

    threads = [threading.Thread(target=rotate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(each.rewritten for each in done) == len(ids)
    assert versions() == {2: len(ids)}


@pytest.mark.django_db(transaction=True)
def test_a_key_is_not_removed_while_somebody_still_writes_with_it(key_file: Path) -> None:
    """Encrypted under the old key before, committed after everything else was done."""
    (pk,) = keys_made(1)
    old = crypto.keyring()
    version_use(actor=SYSTEM)
    rows_rotate()
    held, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        texts = {"api_key_encrypted": f"key {pk}", "api_secret_encrypted": "late"}
        late = {column: crypto.encrypt(text.encode(), at=crypto.Place(TABLE, pk, column), ring=old)
                for column, text in texts.items()}  # fmt: skip
        try:
            with transaction.atomic():
                ExchangeApiKey.objects.filter(pk=pk).update(key_version=1, **late)
                held.set()
                go_on.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=slowly)
    thread.start()
    held.wait(20)
    assert keys_status()["free"] == [1], "nobody sees yet what is written"
    threading.Timer(0.5, go_on.set).start()

    assert versions_remove(actor=SYSTEM) == []

    thread.join()
    assert rows_rotate().left == 0
    assert secret_of(pk) == "late"


@pytest.mark.django_db
def test_a_lost_file_is_noticed_by_the_rotation_too(key_file: Path) -> None:
    keys_made(2)
    store(key_file, new_keyring())

    done = rows_rotate()

    assert (done.rewritten, done.left, len(done.unreadable)) == (0, 2, 2)
    assert "which is not in FIELD_KEY_FILE" in done.unreadable[0]
