"""The supervisor over small real processes: restart, back-off, order of stopping, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from tradingdb.services.processes import MARKER, ProcessId, marked, wait_until
from tradingdb.services.state import PROJECT, StateDir
from tradingdb.services.supervisor import describe_status, stop_leftovers

SLEEP = ["/bin/sleep", "3600"]
# Ignores the polite request, as a process stuck in a system call does.
STUBBORN = ["/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]
# A web server's workers outlive a parent that is killed; these two write down their numbers.
FAMILY = ["/bin/sh", "-c", "sleep 3600 & echo $! > grandchild; wait"]
# Says when it is loaded, waits for its turn where it is a spare, and says that it serves.
SERVER = """
import os, time
from tradingdb.services.processes import stand_by
print("loaded", os.getpid(), flush=True)
stand_by()
print("serves", os.getpid(), flush=True)
time.sleep(3600)
"""
RUNAWAY = [sys.executable, "-c", "import os, time; os.setsid() if os.fork() == 0 else None; time.sleep(3600)"]


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.create()
    return state


@contextmanager
def supervised(
    state: StateDir, *children: dict[str, object], steady: float = 10.0
) -> Iterator["subprocess.Popen[str]"]:
    """A running supervisor; at the end it is asked to stop, and must."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("run_supervisor.py")),
        str(state.root),
        json.dumps(children),
        str(steady),
    ]
    environ = os.environ | {"PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(timeout=30)
    assert status == 0


def running(state: StateDir, name: str, other_than: Sequence[ProcessId] = ()) -> ProcessId:
    assert wait_until(lambda: state.process(name) not in (None, *other_than), 20.0), f"{name} does not run"
    process = state.process(name)
    assert process is not None
    return process


def said(state: StateDir, name: str) -> str:
    """What a child has written so far."""
    log = state.logs / f"{name}.log"
    return log.read_text() if log.exists() else ""


def lines_until(process: "subprocess.Popen[str]", text: str) -> list[str]:
    """What the supervisor says, up to a line that holds the text, at most ten lines."""
    assert process.stdout is not None
    found = []
    for line in islice(process.stdout, 10):
        found.append(line.strip())
        if text in line:
            return found
    raise AssertionError(f"{text} was never said: {found}")


def test_a_killed_child_is_started_again_with_a_new_pid_file(state):
    with supervised(state, {"name": "web", "command": SLEEP}) as supervisor:
        old = running(state, "web")
        os.kill(old.pid, signal.SIGKILL)

        new = running(state, "web", [old])

        assert (state.run / "web.pid").read_text().split()[0] == str(new.pid)
        assert lines_until(supervisor, "web")[-1] == (
            f"web (pid {old.pid}) was killed by SIGKILL; starting again at once"
        )


def test_the_pause_before_a_restart_doubles(state):
    with supervised(state, {"name": "web", "command": ["/bin/sh", "-c", "exit 3"]}) as supervisor:
        lines = lines_until(supervisor, "0.8 s")

    assert [line.split(") ")[1] for line in lines] == [
        f"ended with exit status 3; starting again {pause}" for pause in ("at once", "in 0.2 s", "in 0.4 s", "in 0.8 s")
    ]


def numbers(state: StateDir, word: str) -> list[int]:
    """The processes that have said a word, in order."""
    return [int(line.split()[1]) for line in said(state, "web").splitlines() if line.startswith(word)]


def test_a_spare_stands_by_and_takes_over_at_once(state):
    web = {"name": "web", "command": [sys.executable, "-c", SERVER], "has_spare": True}
    with supervised(state, web, steady=0.2):
        first = running(state, "web")
        assert wait_until(lambda: len(numbers(state, "loaded")) == 2, 20.0)
        assert numbers(state, "serves") == [first.pid]
        spare = numbers(state, "loaded")[1]
        os.kill(first.pid, signal.SIGKILL)

        assert running(state, "web", [first]).pid == spare
        assert wait_until(lambda: numbers(state, "serves") == [first.pid, spare], 20.0)
        # It has a spare in turn, which ends with everything else.
        assert wait_until(lambda: len(numbers(state, "loaded")) == 3, 20.0)

    assert marked(state.root) == []


def test_a_spare_that_dies_is_replaced_and_nobody_else_notices(state):
    web = {"name": "web", "command": [sys.executable, "-c", SERVER], "has_spare": True}
    with supervised(state, web, steady=0.2) as supervisor:
        serving = running(state, "web")
        assert wait_until(lambda: len(numbers(state, "loaded")) == 2, 20.0)
        spare = numbers(state, "loaded")[1]
        os.kill(spare, signal.SIGKILL)

        assert lines_until(supervisor, "spare")[-1] == f"a spare of web (pid {spare}) was killed by SIGKILL"
        assert wait_until(lambda: len(numbers(state, "loaded")) == 3, 20.0)
        assert running(state, "web") == serving
        assert numbers(state, "serves") == [serving.pid]


def test_a_spare_ends_with_a_killed_supervisor(state):
    web = {"name": "web", "command": [sys.executable, "-c", SERVER], "has_spare": True}
    command = [sys.executable, str(Path(__file__).with_name("run_supervisor.py")), str(state.root)]
    with subprocess.Popen(
        [*command, json.dumps([web]), "0.2"], env=os.environ | {"PYTHONPATH": str(PROJECT)}
    ) as supervisor:
        assert wait_until(lambda: len(numbers(state, "loaded")) == 2, 20.0)
        supervisor.kill()

    assert wait_until(lambda: marked(state.root) == [], 10.0)
    assert len(numbers(state, "serves")) == 1


def test_a_program_that_cannot_be_started_is_tried_again(state):
    with supervised(state, {"name": "web", "command": [str(state.root / "program")]}) as supervisor:
        lines_until(supervisor, "could not be started")
        (state.root / "program").symlink_to("/bin/true")

        assert lines_until(supervisor, "ended with exit status 0")


@pytest.mark.parametrize(("code", "is_restarted"), [(0, False), (1, True)])
def test_a_demo_that_ends_well_stays_ended(state, code, is_restarted):
    demo = {"name": "demo", "command": ["/bin/sh", "-c", f"echo run; exit {code}"], "restart": "AFTER_FAILURE"}
    with supervised(state, demo, {"name": "web", "command": SLEEP}):
        running(state, "web")
        assert wait_until(lambda: said(state, "demo").count("run") == 1 + is_restarted, 10.0)

    assert (said(state, "demo").count("run") > 1) is is_restarted


def test_children_stop_in_the_reverse_order_of_their_start(state):
    def chatty(name: str) -> dict[str, object]:
        code = f"trap 'echo {name} >> order; exit 0' TERM; echo up; while :; do sleep 0.05; done"
        return {"name": name, "command": ["/bin/sh", "-c", code]}

    with supervised(state, *map(chatty, ("redis", "web", "worker"))):
        for name in ("redis", "web", "worker"):
            assert wait_until(lambda name=name: said(state, name) == "up\n", 10.0)

    assert (state.root / "order").read_text().split() == ["worker", "web", "redis"]
    assert list(state.run.glob("*.pid")) == []


def test_a_child_that_does_not_stop_is_killed(state):
    with supervised(state, {"name": "web", "command": STUBBORN, "stop_seconds": 0.3}):
        process = running(state, "web")
        assert wait_until(lambda: said(state, "web") == "up\n", 10.0)

    assert not process.is_alive()


def test_the_workers_of_a_killed_child_die_before_it_starts_again(state):
    with supervised(state, {"name": "web", "command": FAMILY}):
        old = running(state, "web")
        note = state.root / "grandchild"
        assert wait_until(lambda: note.exists() and note.read_text().strip() != "", 10.0)
        grandchild = ProcessId.of(int(note.read_text()))
        os.kill(old.pid, signal.SIGKILL)
        running(state, "web", [old])

        assert grandchild is not None
        assert not grandchild.is_alive()


def test_descendants_that_left_their_group_do_not_survive_the_stop(state):
    with supervised(state, {"name": "demo", "command": RUNAWAY}):
        assert wait_until(lambda: len(marked(state.root)) == 2, 10.0)

    assert marked(state.root) == []


def test_children_die_with_a_killed_supervisor(state):
    command = [sys.executable, str(Path(__file__).with_name("run_supervisor.py")), str(state.root)]
    children = json.dumps([{"name": "web", "command": SLEEP}, {"name": "worker", "command": STUBBORN}])
    with subprocess.Popen([*command, children], env=os.environ | {"PYTHONPATH": str(PROJECT)}) as supervisor:
        web, worker = running(state, "web"), running(state, "worker")
        assert wait_until(lambda: said(state, "worker") == "up\n", 10.0)
        supervisor.kill()

    assert wait_until(lambda: not web.is_alive(), 10.0)
    assert worker.is_alive()
    messages: list[str] = []
    stop_leftovers(state, messages.append, seconds=0.3)
    assert not worker.is_alive()
    assert messages[0] == f"stopping worker (pid {worker.pid}), left over from an earlier run"


def test_leftovers_are_found_by_their_mark_when_the_pid_files_are_gone(state):
    with subprocess.Popen(SLEEP, env={MARKER: str(state.root)}) as ours, subprocess.Popen(SLEEP, env={}) as other:
        assert wait_until(lambda: [process.pid for process in marked(state.root)] == [ours.pid], 10.0)

        stop_leftovers(state, lambda message: None)

        assert ours.wait(timeout=10) == -signal.SIGTERM
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize(("status", "words"), [(-9, "was killed by SIGKILL"), (2, "ended with exit status 2")])
def test_an_exit_status_is_put_into_words(status, words):
    assert describe_status(status) == words
