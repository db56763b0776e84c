"""The spool's file: whatever kills the process, what `append` returned for is there, once and in order."""

import fcntl
import json
import os
import signal
import subprocess
import sys

import pytest

from tradingdb_client import Invalid, Spool, SpoolError
from tradingdb_client.spool import Record


def record(number):
    return Record("POST", "/fills", {"fill_id": f"f-{number}", "note": "é\n\u2028"})


def waiting(path):
    """The ids that wait in the file, as a new process would find them."""
    found = []
    with Spool(path) as spool:
        while (head := spool.head()) is not None:
            found.append(head.record.body["fill_id"])
            spool.done(head)
    return found


def test_records_come_back_in_order_after_reopening(path):
    with Spool(path) as spool:
        for number in range(3):
            spool.append(record(number))
        assert len(spool) == 3

    with Spool(path) as spool:
        assert spool.head().record == record(0)
    assert waiting(path) == ["f-0", "f-1", "f-2"]
    assert waiting(path) == []


def test_what_is_done_stays_done_after_reopening(path):
    with Spool(path) as spool:
        for number in range(4):
            spool.append(record(number))
        spool.done(spool.head())
        spool.done(spool.head())
        spool.append(record(4))

    assert waiting(path) == ["f-2", "f-3", "f-4"]


def test_a_fact_is_forgotten_once_however_often_it_is_told(path):
    with Spool(path) as spool:
        for _ in range(3):
            spool.append(record(0))
        first = spool.head()

        spool.done(first)
        spool.done(first)
        assert len(spool) == 2
        spool.done(spool.head())
        spool.done(spool.head())
        spool.done(first)
        assert len(spool) == 0


def test_the_file_is_empty_once_nothing_waits(path):
    with Spool(path) as spool:
        spool.append(record(0))
        spool.append(record(1))
        spool.done(spool.head())
        spool.done(spool.head())

        assert (path.stat().st_size, spool.head()) == (0, None)
        spool.append(record(2))
    assert waiting(path) == ["f-2"]


def test_only_the_owner_may_read_the_files(path):
    with Spool(path) as spool:
        spool.append(record(0))
        spool.reject(spool.head(), Invalid(422, "validation_error", "No."))

    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        "bot.spool": 0o600,
        "bot.spool.lock": 0o600,
        "bot.spool.rejected": 0o600,
    }


def test_a_line_torn_at_any_byte_costs_only_itself(path):
    with Spool(path) as spool:
        spool.append(record(0))
        intact = path.stat().st_size
        spool.append(record(1))
    whole = path.read_bytes()

    for length in range(intact, len(whole)):
        path.write_bytes(whole[:length])
        with Spool(path) as spool:
            assert len(spool) == 1
            assert path.stat().st_size == intact
            spool.append(record(2))
        assert waiting(path) == ["f-0", "f-2"]


def test_a_torn_mark_costs_a_second_delivery_and_nothing_else(path):
    with Spool(path) as spool:
        spool.append(record(0))
        spool.append(record(1))
        unmarked = path.stat().st_size
        spool.done(spool.head())
    path.write_bytes(path.read_bytes()[:-1])

    with Spool(path) as spool:
        assert spool.head().record == record(0)
        assert path.stat().st_size == unmarked


@pytest.mark.parametrize("damage", [b"{}}\n", b"[]\n", b'{"done":"x"}\n', b"\xff\n", b"\n"])
def test_a_damaged_line_is_refused_and_left_for_a_person(path, damage):
    with Spool(path) as spool:
        spool.append(record(0))
    with path.open("ab") as file:
        file.write(damage)
    before = path.read_bytes()

    for _ in range(2):
        with pytest.raises(SpoolError, match="line 2 is damaged"):
            Spool(path)

    assert path.read_bytes() == before


def test_two_clients_do_not_share_a_spool(path):
    with Spool(path) as spool:
        spool.append(record(0))
        with pytest.raises(SpoolError, match="another client uses this spool"):
            Spool(path)

        other = subprocess.run(
            [sys.executable, "-c", f"from tradingdb_client import Spool; Spool({str(path)!r})"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert other.returncode == 1
        assert "SpoolError" in other.stderr
        assert len(spool) == 1

    assert waiting(path) == ["f-0"]


APPEND_FOR_EVER = """
import itertools, sys
from tradingdb_client import Spool
from tradingdb_client.spool import Record
spool = Spool(sys.argv[1])
for number in itertools.count():
    spool.append(Record("POST", "/fills", {"fill_id": f"f-{number}", "note": "x" * 5000}))
    print(number, flush=True)
"""


@pytest.mark.parametrize("kept", [1, 7, 40])
def test_kill_9_in_the_middle_of_appending_loses_nothing_and_frees_the_lock(path, kept):
    process = subprocess.Popen([sys.executable, "-c", APPEND_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [next(process.stdout) for _ in range(kept)]
    process.send_signal(signal.SIGKILL)
    told += list(process.stdout)
    process.stdout.close()
    process.wait()

    found = waiting(path)

    promised = [f"f-{line.strip()}" for line in told if line.endswith("\n")]
    assert found[: len(promised)] == promised
    assert len(found) - len(promised) in (0, 1)


FORK = """
import os, sys
from tradingdb_client import Spool, SpoolError
from tradingdb_client.spool import Record
spool = Spool(sys.argv[1])
spool.append(Record("POST", "/fills", {"fill_id": "parent"}))
child = os.fork()
if child == 0:
    try:
        spool.append(Record("POST", "/fills", {"fill_id": "child"}))
    except SpoolError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_fork_may_not_use_its_parents_spool(path):
    process = subprocess.run([sys.executable, "-c", FORK, str(path)], capture_output=True, text=True, check=True)

    assert "a fork needs its own" in process.stdout
    assert waiting(path) == ["parent"]


def test_a_closed_spool_is_not_written(path):
    spool = Spool(path)
    spool.close()
    spool.close()

    for call in (lambda: spool.append(record(0)), spool.head, spool.start_drain):
        with pytest.raises(SpoolError, match="is closed"):
            call()


DISK_FILLS_UP = """
import os, resource, signal, sys
from tradingdb_client import Spool, SpoolError
from tradingdb_client.spool import Record

def append(name):
    spool.append(Record("POST", "/fills", {"fill_id": name}))

def leave_room_for(bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(sys.argv[1]) + bytes, unlimited[1]))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
spool = Spool(sys.argv[1])
append("f-0")
append("f-1")
leave_room_for(50)
try:
    append("f-2")
except SpoolError as error:
    print(error)
leave_room_for(0)
spool.done(spool.head())
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
append("f-3")
"""


def test_a_full_disk_is_told_and_costs_no_fact_that_was_kept(path):
    process = subprocess.run(
        [sys.executable, "-c", DISK_FILLS_UP, str(path)], capture_output=True, text=True, check=True
    )

    assert "neither delivered nor kept" in process.stdout
    # There was no room for the mark that f-0 is done: it goes out twice, and counts once.
    assert waiting(path) == ["f-0", "f-1", "f-3"]


def test_rejected_facts_gather_in_their_file_even_after_a_torn_line(path):
    error = Invalid(422, "validation_error", "No.", [{"loc": ["body"], "msg": "m"}], "req-1")
    with Spool(path) as spool:
        for number in range(2):
            spool.append(record(number))
        spool.reject(spool.head(), error)
        with spool.rejected_path.open("ab") as file:
            file.write(b'{"at":"2026')
        spool.reject(spool.head(), error)

        lines = [json.loads(line) for line in spool.rejected_path.read_bytes().splitlines()]

    assert [line["body"]["fill_id"] for line in lines] == ["f-0", "f-1"]
    assert {line["problem"]["code"] for line in lines} == {"validation_error"}


def test_a_rejected_fact_that_cannot_be_set_aside_still_waits(path):
    with Spool(path) as spool:
        spool.append(record(0))
        spool.rejected_path.mkdir()

        with pytest.raises(SpoolError, match="takes no rejected fact"):
            spool.reject(spool.head(), Invalid(422, "validation_error", "No."))

        assert spool.head().record == record(0)


def test_the_lock_is_free_again_after_a_spool_that_would_not_open(path):
    path.write_bytes(b"damage\n")
    with pytest.raises(SpoolError):
        Spool(path)

    lock = os.open(f"{path}.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)
