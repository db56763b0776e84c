"""The supervisor: starts children, starts again what dies, and stops them in the reverse order."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tradingdb.services.errors import ServiceError
from tradingdb.services.processes import MARKER, Child, Restart, call_up, end_group, marked, spawn, wait_until
from tradingdb.services.state import StateDir

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 5.0
STEADY_SECONDS = 10.0
STOP_REQUESTS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_PR_SET_CHILD_SUBREAPER = 36


class StopRequested(Exception):
    """Somebody asked the supervisor to stop while it was waiting for something."""


@dataclass(slots=True)
class _Place:
    """What the supervisor knows about one child: the running process, or when to start the next one."""

    child: Child
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0  # monotonic seconds
    delay: float = 0.0  # before the next start
    due_at: float | None = None
    spare: "subprocess.Popen[bytes] | None" = None
    spare_due_at: float | None = None
    is_stopping: bool = False
    exit_status: int | None = None


class Supervisor:
    """Owns every process of one state folder. Single-threaded: all happens inside `tick`."""

    def __init__(self, state: StateDir, say: Callable[[str], None]) -> None:
        self._state = state
        self.say = say
        self._places: dict[str, _Place] = {}
        self._is_stopping = False
        self._watches: list[Callable[[], None]] = []
        # nohup asks us to outlive the terminal; a blocked signal would reach us although it is ignored.
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
        self._watched = (STOP_REQUESTS - ignored) | {signal.SIGCHLD}

    @contextmanager
    def in_charge(self) -> Iterator[None]:
        """Receive signals and orphans for as long as the block runs; stop every child at its end, whatever happened."""
        # Processes whose parent was killed come to us, so that none stays a zombie or escapes.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._watched)
        try:
            yield
        except StopRequested:
            self.say("stopping")
        finally:
            self._stop_all()
            for process in marked(self._state.root):
                process.send(signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def start(self, child: Child) -> None:
        """Start a child and keep it running as its restart rule says."""
        environment = {**child.environment, MARKER: str(self._state.root)}
        self._places[child.name] = _Place(replace(child, environment=environment))
        self._launch(self._places[child.name])

    def watch(self, look: Callable[[], None]) -> None:
        """Call `look` with every tick, about once a second."""
        self._watches.append(look)

    def run_step(self, child: Child) -> None:
        """Run a child once to its end. Raises ServiceError with the end of its log when it fails."""
        self.start(replace(child, restart=Restart.NEVER))
        place = self._places[child.name]
        while place.process is not None:
            self.tick()
        del self._places[child.name]
        if place.exit_status != 0:
            raise ServiceError(f"{child.name} failed:\n{self._state.last_lines(child.name)}")

    def wait_for(self, condition: Callable[[], bool], *, seconds: float, pause: float, log: str) -> None:
        """Wait until the condition holds, asking every `pause` seconds.

        Raises ServiceError with the end of the log named `log` when it takes too long.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise ServiceError(f"{log} was not ready in {seconds:.0f} s:\n{self._state.last_lines(log)}")
            next_look = time.monotonic() + pause
            while (left := next_look - time.monotonic()) > 0:
                self.tick(left)

    def run_forever(self) -> None:
        """Keep the children alive until somebody asks us to stop."""
        while True:
            self.tick()

    def tick(self, seconds: float = 1.0) -> None:
        """Wait for a signal, at most so long; then take note of deaths and start what is due.

        Raises StopRequested when a signal asks for the end.
        """
        dues = [at for place in self._places.values() for at in (place.due_at, place.spare_due_at) if at is not None]
        left = min([seconds, *(at - time.monotonic() for at in dues)])
        received = signal.sigtimedwait(self._watched, max(0.0, left))
        self._collect()
        if self._is_stopping:
            return
        if received is not None and received.si_signo in STOP_REQUESTS:
            raise StopRequested
        for look in self._watches:
            look()
        for place in self._places.values():
            if place.due_at is not None and place.due_at <= time.monotonic():
                self._launch(place)
            if place.spare_due_at is not None and place.spare_due_at <= time.monotonic():
                self._launch_spare(place)

    def _launch(self, place: _Place) -> None:
        place.due_at = None
        place.started_at = time.monotonic()
        spare, place.spare = place.spare, None
        try:
            if spare is not None and call_up(spare):
                place.process = spare
            else:
                place.process = self._spawn(place)
        except (OSError, subprocess.SubprocessError) as e:
            self._plan_restart(place, f"could not be started ({e})")
            return
        self._state.write_pid(place.child.name, place.process.pid)
        if place.child.has_spare:
            # Not now: the one that serves has more need of the processor.
            place.spare_due_at = time.monotonic() + STEADY_SECONDS

    def _launch_spare(self, place: _Place) -> None:
        place.spare_due_at = None
        try:
            place.spare = self._spawn(place, as_spare=True)
        except (OSError, subprocess.SubprocessError) as e:
            self.say(f"a spare of {place.child.name} could not be started ({e})")
            place.spare_due_at = time.monotonic() + STEADY_SECONDS

    def _spawn(self, place: _Place, *, as_spare: bool = False) -> "subprocess.Popen[bytes]":
        with self._state.log_file(place.child.name).open("ab") as log:
            return spawn(place.child, log, as_spare=as_spare)

    def _collect(self) -> None:
        """Take note of every dead process: our children, and orphans that came to us."""
        while True:
            try:
                # Left waiting for now: as long as the number is taken, its group is surely ours.
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            places = self._places.values()
            if place := next((p for p in places if p.process and p.process.pid == dead.si_pid), None):
                self._note_death(place)
            elif place := next((p for p in places if p.spare and p.spare.pid == dead.si_pid), None):
                self._note_death_of_spare(place)
            else:
                os.waitpid(dead.si_pid, 0)

    def _note_death(self, place: _Place) -> None:
        assert place.process is not None
        end_group(place.process.pid)
        status = place.process.wait()
        pid, place.process, place.exit_status = place.process.pid, None, status
        rule = place.child.restart
        if place.is_stopping or rule is Restart.NEVER or (rule is Restart.AFTER_FAILURE and status == 0):
            self._state.remove_pid(place.child.name)
        else:
            self._plan_restart(place, f"(pid {pid}) {describe_status(status)}")

    def _note_death_of_spare(self, place: _Place) -> None:
        assert place.spare is not None
        end_group(place.spare.pid)
        self.say(f"a spare of {place.child.name} (pid {place.spare.pid}) {describe_status(place.spare.wait())}")
        place.spare = None
        place.spare_due_at = None if place.is_stopping else time.monotonic() + STEADY_SECONDS

    def _plan_restart(self, place: _Place, why: str) -> None:
        now = time.monotonic()
        if now - place.started_at >= STEADY_SECONDS:
            place.delay = 0.0
        when = f"in {place.delay:.1f} s" if place.delay else "at once"
        self.say(f"{place.child.name} {why}; starting again {when}")
        place.due_at = now + place.delay
        place.delay = min(max(place.delay * 2, FIRST_DELAY_SECONDS), LONGEST_DELAY_SECONDS)

    def _stop_all(self) -> None:
        self._is_stopping = True
        for place in reversed(list(self._places.values())):
            self._stop(place)

    def _stop(self, place: _Place) -> None:
        place.is_stopping = True
        place.due_at = place.spare_due_at = None
        if place.spare is not None:
            end_group(place.spare.pid)
            place.spare.wait()
            place.spare = None
        for signum, seconds in (*place.child.stop_signals, (signal.SIGKILL, LONGEST_DELAY_SECONDS)):
            if place.process is None:
                break
            # Not Popen.send_signal: it would collect a child that has just died behind our back.
            os.kill(place.process.pid, signum)
            deadline = time.monotonic() + seconds
            while place.process is not None and time.monotonic() < deadline:
                self.tick(0.1)
        self._state.remove_pid(place.child.name)


def describe_status(status: int) -> str:
    """An exit status in words; negative is the number of the signal that killed the process."""
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"


def stop_leftovers(state: StateDir, say: Callable[[str], None], *, seconds: float = 30.0) -> None:
    """End what an earlier supervisor of this folder left behind, and nobody else's process.

    A process is ours when its pid file names it and its start time, or when it carries our mark in its environment.
    """
    recorded = state.processes()
    leftovers = {process: name for name, process in recorded.items()}
    leftovers.update({process: "a child" for process in marked(state.root) if process not in leftovers})
    for process, name in leftovers.items():
        say(f"stopping {name} (pid {process.pid}), left over from an earlier run")
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
        process.send(signal.SIGINT if name == "postgres" else signal.SIGTERM)
    if not wait_until(lambda: not any(process.is_alive() for process in leftovers), seconds):
        for process in leftovers:
            process.send(signal.SIGKILL)
        wait_until(lambda: not any(process.is_alive() for process in leftovers), 5.0)
    for file in state.run.glob("*.pid"):
        file.unlink()
