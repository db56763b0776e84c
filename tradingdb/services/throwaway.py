"""Servers for the time of one command or one test run, in a temporary folder that goes with them."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tradingdb.services.errors import ServiceError
from tradingdb.services.processes import Child, end_group, spawn
from tradingdb.services.servers import START_SECONDS, Servers, plan_servers
from tradingdb.services.state import Lock, StateDir

PREFIX = "tradingdb-servers-"
# A folder younger than this may belong to a run that has not taken its lock yet.
ABANDONED_AFTER_SECONDS = 60.0


@contextmanager
def throwaway_servers(environ: Mapping[str, str], *, durable: bool = False) -> Iterator[dict[str, str]]:
    """Start the servers whose URL `environ` lacks and give the variables that lead to them.

    durable: with the settings of a real instance, for measuring; otherwise nothing waits for the disk.
    """
    _remove_abandoned()
    state = StateDir(Path(tempfile.mkdtemp(prefix=PREFIX)))
    lock: Lock | None = None
    running: list[tuple[Child, subprocess.Popen[bytes]]] = []
    try:
        state.root.chmod(0o711)
        state.create()
        lock = Lock(state)
        lock.take()
        servers = plan_servers(state, environ, durable=durable)
        for child in servers.children():
            with state.log_file(child.name).open("ab") as log:
                running.append((child, spawn(child, log)))
        _await(servers, running)
        servers.prepare()
        yield servers.environment()
    finally:
        for child, process in reversed(running):
            _stop(child, process)
        shutil.rmtree(state.root, ignore_errors=True)
        if lock is not None:
            lock.release()


def run_with_servers(command: Sequence[str], environ: Mapping[str, str], *, durable: bool = False) -> int:
    """Run a command with servers of its own and return its exit status."""
    with throwaway_servers(environ, durable=durable) as variables:
        try:
            process = subprocess.Popen(command, env={**environ, **variables})  # noqa: S603 (the command is ours)  # nosec B603
        except OSError as e:
            raise ServiceError(f"{command[0]} cannot be run: {e.strerror}.") from e
        # The terminal sends Ctrl-C to the command as well, and the command decides when to end.
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        terminate = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, interrupt)
            signal.signal(signal.SIGTERM, terminate)


def _await(servers: Servers, running: Sequence[tuple[Child, "subprocess.Popen[bytes]"]]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not servers.are_ready():
        for child, process in running:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServiceError(f"{child.name} did not start:\n{servers.state.last_lines(child.name)}")
        time.sleep(0.02)


def _stop(child: Child, process: "subprocess.Popen[bytes]") -> None:
    for signum, seconds in child.stop_signals:
        process.send_signal(signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            break
    end_group(process.pid)
    process.wait()


def _remove_abandoned() -> None:
    """Remove the folders of runs that were killed before they could; a living run holds its lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = folder.stat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < ABANDONED_AFTER_SECONDS:
                continue
            lock = Lock(StateDir(folder))
            if lock.take():
                shutil.rmtree(folder, ignore_errors=True)
            lock.release()
