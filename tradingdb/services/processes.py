"""Child processes: start one so that it dies with us, know it again later, end it for certain."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tradingdb.services.accounts import Account, become

MARKER = "TRADINGDB_CHILD_OF"
SPARE = "TRADINGDB_SPARE"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Restart(Enum):
    """When the supervisor starts a child again."""

    ALWAYS = auto()
    AFTER_FAILURE = auto()
    NEVER = auto()


@dataclass(frozen=True, slots=True)
class Child:
    """A process to run: what, where, as whom, and how it is asked to stop."""

    name: str
    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    account: Account | None = None
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0),)  # then SIGKILL; seconds each
    restart: Restart = Restart.ALWAYS
    before_start: Callable[[], None] | None = field(default=None, repr=False)
    has_spare: bool = False  # another one stands by, see `stand_by`


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process that a later one with the same number is not mistaken for."""

    pid: int
    started: int  # clock ticks since the machine started

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The living process with this number, or None; a zombie is dead."""
        stat = _stat(pid)
        return cls(pid, int(stat[19])) if stat and stat[0] not in "ZX" else None

    @classmethod
    def parse(cls, text: str) -> "ProcessId | None":
        """Read what `str()` wrote."""
        words = text.split()
        return cls(int(words[0]), int(words[1])) if len(words) == 2 and all(map(str.isdecimal, words)) else None

    def __str__(self) -> str:
        return f"{self.pid} {self.started}"

    def is_alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    def send(self, signum: signal.Signals) -> None:
        """Signal the process if it is still the same one."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)


def spawn(child: Child, log: BinaryIO, *, as_spare: bool = False) -> "subprocess.Popen[bytes]":
    """Start the child in a session of its own, with its output in `log`; a spare waits in `stand_by` for its turn."""
    if child.before_start is not None:
        child.before_start()
    return subprocess.Popen(  # noqa: S603 (the commands are ours)  # nosec B603
        child.command,
        cwd=child.directory,
        env={**child.environment, SPARE: "1"} if as_spare else child.environment,
        stdin=subprocess.PIPE if as_spare else subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # Safe here: the processes that start servers have one thread, so no lock can be held across the fork.
        preexec_fn=partial(_settle, child, os.getpid()),
    )


def call_up(spare: "subprocess.Popen[bytes]") -> bool:
    """Let a spare go on; False when it is dead."""
    assert spare.stdin is not None
    try:
        with spare.stdin as line:
            line.write(b"\n")
    except BrokenPipeError:
        return False
    return True


def stand_by() -> None:
    """In a spare, which has loaded all it needs: wait until it is called up. It ends when the supervisor does.

    Loading takes the web server seconds on a busy machine; a spare that stands by answers at once.
    """
    if os.environ.pop(SPARE, None) and not sys.stdin.buffer.readline():
        os._exit(0)


def end_group(pid: int) -> None:
    """Kill what is left of a child's process group: workers that outlive their parent hold ports and locks."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def marked(owner: Path) -> list[ProcessId]:
    """Every living process that descends from a child started for the state folder `owner`, except ourselves."""
    mark = f"{MARKER}={owner}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found.append(ProcessId.of(int(folder.name)))
    return [process for process in found if process is not None]


def wait_until(condition: Callable[[], bool], seconds: float, *, pause: float = 0.05) -> bool:
    """Whether the condition became true within the time; it is looked at every `pause` seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def _settle(child: Child, parent: int) -> None:
    """Between fork and exec: default signals, another account, and the wish to be told when the parent dies."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if child.account is not None:
        become(child.account)
    # After become(): a change of account clears it.
    farewell = child.stop_signals[0][0] if child.stop_signals else signal.SIGKILL
    _libc.prctl(_PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
