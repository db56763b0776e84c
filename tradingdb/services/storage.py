"""Keeps the disk of the embedded PostgreSQL from running full: before it is, nobody writes, and all still read.

PostgreSQL itself ends when it cannot write its log, and cannot start again before there is room: nobody could even
read. So below a low mark new transactions are made read-only, and a file that holds room is there for the case that
something else fills the disk faster than we look. Both ends by themselves when there is room again.
"""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tradingdb.services.errors import ServiceError
from tradingdb.services.state import StateDir

MIB = 1024 * 1024
DEFAULT_MIB = 64
# Included by the server's configuration when it is there.
READ_ONLY_FILE = "read_only.conf"
RESERVE_FILE = "reserve"
PIECE = bytes(MIB)


@dataclass(slots=True)
class DiskWatch:
    """Looks at the free room of one data folder; `look` is cheap and called every second."""

    state: StateDir
    data: Path
    mark: int  # bytes that have to be free for writing; 0: no watch
    say: Callable[[str], None]
    is_read_only: bool = False

    @property
    def reserve(self) -> Path:
        return self.data.with_name(RESERVE_FILE)

    def look(self) -> None:
        """Compare the free room with the marks, and act."""
        if not self.mark:
            return
        free = self._free()
        if free < self.mark // 4 and self.reserve.exists():
            self._give_reserve(free)
        if not self.is_read_only and free < self.mark:
            self._set(True)
            self.say(f"the disk of PostgreSQL has {free // MIB} MiB left; it is read-only until there is room again")
        elif self.is_read_only and free > 2 * self.mark:
            self._set(False)
            self.say(f"the disk of PostgreSQL has {free // MIB} MiB left; it takes writes again")
        if not self.reserve.exists() and free > 4 * self.mark:
            self._make_reserve()

    def _free(self) -> int:
        found = os.statvfs(self.data)
        return found.f_bavail * found.f_frsize

    def _set(self, is_read_only: bool) -> None:
        file = self.data / READ_ONLY_FILE
        if is_read_only:
            try:
                self._write(file)
            except OSError:
                # Not even room for a line.
                self.reserve.unlink(missing_ok=True)
                with suppress(OSError):
                    self._write(file)
        else:
            file.unlink(missing_ok=True)
        self.is_read_only = is_read_only
        postmaster = self.state.process("postgres")
        if postmaster is not None:
            postmaster.send(signal.SIGHUP)

    def _write(self, file: Path) -> None:
        file.write_text("# Written and removed by the supervisor.\ndefault_transaction_read_only = on\n")
        owner = self.data.stat()
        os.chown(file, owner.st_uid, owner.st_gid)

    def _give_reserve(self, free: int) -> None:
        self.reserve.unlink()
        self.say(f"the disk of PostgreSQL has {free // MIB} MiB left; its reserve is given up")

    def _make_reserve(self) -> None:
        """Write the file that holds room; real bytes, for a file with a hole holds none."""
        draft = self.reserve.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                for _ in range(self.mark // MIB):
                    file.write(PIECE)
            draft.replace(self.reserve)
        except OSError:
            draft.unlink(missing_ok=True)


def plan_watch(state: StateDir, data: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> DiskWatch:
    """Return the watch over a data folder. Raises ServiceError for a DISK_RESERVE_MB that is no number."""
    text = environ.get("DISK_RESERVE_MB") or str(DEFAULT_MIB)
    if not text.isdecimal():
        raise ServiceError(f"DISK_RESERVE_MB={text} is not a whole number; correct it.")
    (data / READ_ONLY_FILE).unlink(missing_ok=True)
    return DiskWatch(state, data, int(text) * MIB, say)
