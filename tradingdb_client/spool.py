"""The spool: a local file that keeps facts through an outage, in order, through kill -9 and power loss."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .errors import ApiError, SpoolError
from .wire import json_bytes, time_text

if sys.platform != "win32":
    import fcntl


@dataclass(frozen=True)
class Record:
    """One fact that waits: the request that will deliver it."""

    method: str
    path: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """Where a line stands in the file, in bytes."""

    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True)
class Waiting:
    """A record and its place in the file."""

    record: Record
    span: Span


class Spool:
    """An append-only file of JSON lines, owned by one process at a time; its methods may be called from any thread.

    A line is a record, or a mark `{"done": n}`: every record before byte n is delivered. Once none is left the file is
    cut to nothing. A record is on disk when `append` returns. A mark is not forced to disk: if a power loss takes one,
    a fact is delivered again under the same id, which changes nothing.
    """

    def __init__(self, path: Path | str) -> None:
        """Open or create the spool. Raises SpoolError when another process has it, or when a line is damaged."""
        self.path = Path(path)
        self.rejected_path = self.path.with_name(self.path.name + ".rejected")
        self._mutex = threading.Lock()
        self._draining = False
        self._owner = os.getpid()
        self._lock_file = _take_lock(self.path.with_name(self.path.name + ".lock"))
        self._file = -1
        try:
            self._file = _open_for_append(self.path)
            self._waiting = _load(self._file, self.path)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<Spool {self.path}, {len(self)} waiting>"

    def __len__(self) -> int:
        """How many facts wait."""
        return len(self._waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the spool free for another process; what waits stays on disk."""
        with self._mutex:
            for descriptor in (self._file, self._lock_file):
                if descriptor >= 0:
                    os.close(descriptor)
            self._file = self._lock_file = -1

    def append(self, record: Record) -> None:
        """Put a fact on disk behind the others. Raises SpoolError when the disk does not take it."""
        entry = {"at": _now(), "method": record.method, "path": record.path, "body": record.body}
        with self._mutex:
            self._check()
            try:
                span = _write_line(self._file, entry)
                os.fsync(self._file)
            except OSError as error:
                raise SpoolError(f"The fact for {record.path} is neither delivered nor kept: {error}") from error
            self._waiting.append(span)

    def start_drain(self) -> bool:
        """Begin to deliver; False when another thread or task is at it, because order needs a single one."""
        with self._mutex:
            self._check()
            started = not self._draining
            self._draining = True
            return started

    def end_drain(self) -> None:
        """Let the next one deliver."""
        self._draining = False

    def head(self) -> Waiting | None:
        """Return the oldest fact that waits, None when there is none."""
        with self._mutex:
            self._check()
            if not self._waiting:
                return None
            span = self._waiting[0]
            entry = json.loads(os.pread(self._file, span.length, span.start))
        return Waiting(Record(entry["method"], entry["path"], entry["body"]), span)

    def done(self, waiting: Waiting) -> None:
        """Forget the oldest fact: the server has it, or the rejected file.

        A fact that is forgotten already is passed over: a cancelled task may leave a thread behind that does it late.
        """
        with self._mutex:
            self._check()
            if not self._waiting or self._waiting[0] is not waiting.span:
                return
            span = self._waiting.popleft()
            # On a full disk the mark may fail; a lost mark costs a second delivery under the same id, nothing more.
            with contextlib.suppress(OSError):
                if self._waiting:
                    _write_line(self._file, {"done": span.end})
                else:
                    os.ftruncate(self._file, 0)

    def reject(self, waiting: Waiting, problem: ApiError) -> None:
        """Set the oldest fact aside in the rejected file, with the server's reason, and forget it here."""
        reason = {
            "status": problem.status,
            "code": problem.code,
            "detail": problem.detail,
            "errors": problem.errors,
            "request_id": problem.request_id,
        }
        record = waiting.record
        entry = {"at": _now(), "method": record.method, "path": record.path, "body": record.body, "problem": reason}
        try:
            _append_to(self.rejected_path, entry)
        except OSError as error:
            raise SpoolError(f"{self.rejected_path} takes no rejected fact: {error}") from error
        self.done(waiting)

    def _check(self) -> None:
        if self._file < 0:
            raise SpoolError(f"The spool {self.path} is closed.")
        if os.getpid() != self._owner:
            raise SpoolError(f"The spool {self.path} belongs to the process that opened it; a fork needs its own.")


def _now() -> str:
    return time_text(datetime.now(UTC), name="at")


def _take_lock(path: Path) -> int:
    """Return a descriptor that holds the lock; the system frees it when the process ends, however it ends."""
    if sys.platform == "win32":
        raise SpoolError("A spool needs POSIX file locks; on Windows, run without one.")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SpoolError(f"{path} is held: another client uses this spool. Give each its own.") from error
    return descriptor


def _open_for_append(path: Path) -> int:
    """Return a descriptor of the file, made if missing, with its directory entry on disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return descriptor


def _load(descriptor: int, path: Path) -> deque[Span]:
    """Return the lines that wait, after cutting off a torn last line: its `append` never returned."""
    spans: list[Span] = []
    position = done = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
                done = max(done, entry.get("done", 0))
            except (ValueError, AttributeError, TypeError) as error:
                raise SpoolError(f"{path}: line {number} is damaged; mend or move the file.") from error
            if "done" not in entry:
                spans.append(Span(position, len(line)))
            position += len(line)
    waiting = deque(span for span in spans if span.start >= done)
    os.ftruncate(descriptor, position if waiting else 0)
    return waiting


def _write_line(descriptor: int, entry: dict[str, Any]) -> Span:
    """Append one whole line or nothing, and return where it stands."""
    line = json_bytes(entry) + b"\n"
    start = os.fstat(descriptor).st_size
    written = 0
    try:
        while written < len(line):
            written += os.write(descriptor, line[written:])
    except OSError:
        os.ftruncate(descriptor, start)
        raise
    return Span(start, len(line))


def _append_to(path: Path, entry: dict[str, Any]) -> None:
    """Append one line to a file that is opened for it alone, and force it to disk."""
    descriptor = _open_for_append(path)
    try:
        _cut_torn_line(descriptor)
        _write_line(descriptor, entry)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cut_torn_line(descriptor: int) -> None:
    """Cut off a last line without an end; what it was about to set aside still waits in the spool."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
