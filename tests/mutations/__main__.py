"""Plant each bug in a copy of the tree and run the tests that must find it: `python -m tests.mutations [name …]`.

First the same tests run on the copy as it is: a test that fails anyway finds nothing. Exit 1 when a bug is missed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from tests.mutations.planted import PLANTED, Planted
from tradingdb.services.throwaway import throwaway_servers

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "node_modules", "staticfiles", "__pycache__", "build")
AT_ONCE = 2
# A bug may make a test wait for ever; that it does not end is a finding as well.
PATIENCE_SECONDS = 600
# So many come upon values that are rare.
MADE_UP_REQUESTS = "3000"
PASSED, FAILED, NOTHING_TO_RUN = 0, 1, 5
DATABASE_URLS = ("DATABASE_URL", "BOT_DATABASE_URL")
FINDER = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Finding(NamedTuple):
    """What became of one bug: the test that found it, None when none did; `log` says why the tests did not run."""

    bug: Planted
    found_by: str | None
    seconds: float
    log: str = ""


class Copy:
    """A copy of the tree with a database of its own; one bug at a time."""

    def __init__(self, folder: Path, number: int, servers: dict[str, str]) -> None:
        self.folder = folder / str(number)
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT)
        databases = {name: f"{url}_mutation{number}" for name, url in servers.items() if name in DATABASE_URLS}
        self.environ = {**os.environ, **servers, **databases, "STATE_DIR": str(folder / f"state{number}")}
        self.environ |= {"HYPOTHESIS_PROFILE": "first", "CASES": MADE_UP_REQUESTS}

    def run(self, tests: Sequence[str], patience: float | None = None) -> tuple[int, str]:
        """Run tests until the first failure; return pytest's status and what it said."""
        if not tests:
            return NOTHING_TO_RUN, ""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "--reuse-db", "-p", "no:cacheprovider"]
        try:
            done = subprocess.run(
                [*command, *tests], cwd=self.folder, env=self.environ, capture_output=True, text=True,
                timeout=patience,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return FAILED, "FAILED (no end)"
        return done.returncode, done.stdout + done.stderr

    def try_bug(self, bug: Planted) -> Finding:
        """Plant a bug, run its tests, and take it out again."""
        began = time.monotonic()
        file = self.folder / bug.path
        sound = file.read_text()
        assert sound.count(bug.old) == 1, f"{bug.name}: its place is gone from {bug.path}"
        try:
            file.write_text(sound.replace(bug.old, bug.new))
            status, log = self.run(bug.tests, PATIENCE_SECONDS)
        finally:
            file.write_text(sound)
        finder = FINDER.search(log) if status == FAILED else None
        return Finding(
            bug, finder and finder[1], time.monotonic() - began, log if status not in (PASSED, FAILED) else ""
        )


@contextmanager
def copies() -> Iterator[list[Copy]]:
    """Make the copies, and the servers that they share."""
    own = {name: value for name, value in os.environ.items() if name not in (*DATABASE_URLS, "REDIS_URL")}
    with throwaway_servers(own) as servers, tempfile.TemporaryDirectory(prefix="tradingdb-mutations-") as folder:
        yield [Copy(Path(folder), number, servers) for number in range(1, AT_ONCE + 1)]


def main(names: Sequence[str]) -> int:
    """Try the bugs of these names, all without one."""
    bugs = [bug for bug in PLANTED if not names or bug.name in names]
    with copies() as made, ThreadPoolExecutor(AT_ONCE) as pool:
        tests = sorted({test for bug in bugs for test in bug.tests})
        for status, log in pool.map(Copy.run, made, (tests[number::AT_ONCE] for number in range(AT_ONCE))):
            if status not in (PASSED, NOTHING_TO_RUN):
                say(f"The tests fail without any bug:\n{log}")
                return 2
        free: SimpleQueue[Copy] = SimpleQueue()
        for copy in made:
            free.put(copy)
        missed = 0
        for finding in pool.map(partial(try_on, free), bugs):
            say(line_of(finding))
            missed += finding.found_by is None
    say(f"{len(bugs)} bugs planted, {len(bugs) - missed} found, {missed} missed.")
    return 1 if missed or not bugs else 0


def try_on(free: "SimpleQueue[Copy]", bug: Planted) -> Finding:
    """Try a bug on a copy that nobody uses."""
    copy = free.get()
    try:
        return copy.try_bug(bug)
    finally:
        free.put(copy)


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def line_of(finding: Finding) -> str:
    """Return how a finding is shown."""
    if finding.found_by is not None:
        return f"found   {finding.bug.name:32} {finding.seconds:5.0f} s  {finding.found_by}"
    return f"MISSED  {finding.bug.name:32} {finding.seconds:5.0f} s  {finding.bug.why}\n{finding.log}".rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
