"""Real worker and beat processes on the test database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection

# A process that is not there by then never will be; nothing is asserted about how long things take.
PATIENCE_SECONDS = 60


def environment(prefix: str) -> dict[str, str]:
    """The environment of a process that shares the test's database, with Redis keys of its own."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tradingdb.settings.test",
        "DATABASE_URL": _url(connection.settings_dict),
        "BOT_DATABASE_URL": _url({**settings.BOT_DATABASE, "NAME": connection.settings_dict["NAME"]}),
        "REDIS_URL": settings.REDIS_URL,
        "REDIS_PREFIX": prefix,
        # Celery says so to root whatever is set; the tests run as whoever runs them.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }


def _url(database: Mapping[str, Any]) -> str:
    login = quote(database["USER"]) + (f":{quote(database['PASSWORD'])}" if database["PASSWORD"] else "")
    return f"postgres://{login}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


class Running:
    """A process and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def log(self) -> str:
        return self._log.read_text()

    def lines(self, text: str) -> list[str]:
        """The lines of the log that hold a text."""
        return [line for line in self.log().splitlines() if text in line]

    def await_lines(self, text: str, number: int = 1) -> None:
        """Wait until the log holds so many lines with a text."""
        eventually(lambda: len(self.lines(text)) >= number, lambda: f"no {text!r} in:\n{self.log()}")

    def kill(self) -> None:
        """As a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def eventually(holds: Callable[[], bool], otherwise: Callable[[], str] = lambda: "it never came") -> None:
    """Wait until something holds; fail when it does not come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)


@contextmanager
def celery(folder: Path, name: str, *arguments: str, prefix: str) -> Iterator[Running]:
    """Run `celery -A tradingdb …` until the block ends."""
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "celery", "-A", "tradingdb", *arguments, "--loglevel", "INFO"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment(prefix), stdout=file, stderr=file, cwd=settings.BASE_DIR, start_new_session=True
        )
    try:
        yield Running(process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def worker(folder: Path, *, prefix: str) -> Iterator[Running]:
    """A worker with two processes, ready for work."""
    with celery(folder, "worker", "worker", "-c", "2", prefix=prefix) as running:
        running.await_lines(" ready.")
        yield running


@contextmanager
def beat(folder: Path, name: str = "beat", *, prefix: str) -> Iterator[Running]:
    """A beat with a schedule file of its own."""
    schedule = ("--pidfile=", "--schedule", str(folder / f"{name}-schedule"))
    with celery(folder, name, "beat", *schedule, prefix=prefix) as running:
        running.await_lines("beat: Starting...")
        yield running
