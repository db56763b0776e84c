"""What every demo process needs: its settings, its log, the time, and when to stop."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import gmtime
from types import FrameType
from typing import Protocol


class SettingsError(ValueError):
    """The environment lacks a setting, or has one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The demo's environment. Without `candles` the project's own sample is replayed."""

    base_url: str
    state_dir: Path
    candles: Path | None
    speed: float | None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Read BASE_URL, STATE_DIR, CANDLES and SPEED. Raises SettingsError."""
        for name in ("BASE_URL", "STATE_DIR"):
            if not environ.get(name):
                raise SettingsError(f"{name} is not set")
        speed = environ.get("SPEED", "")
        try:
            factor = float(speed) if speed else None
        except ValueError as error:
            raise SettingsError(f"SPEED is not a number: {speed!r}") from error
        if factor is not None and not 0 < factor < float("inf"):
            raise SettingsError(f"SPEED is not positive: {speed!r}")
        candles = environ.get("CANDLES", "")
        return cls(
            base_url=environ["BASE_URL"],
            state_dir=Path(environ["STATE_DIR"]),
            candles=Path(candles) if candles else None,
            speed=factor,
        )

    @property
    def folder(self) -> Path:
        """The demo's own folder in the state folder."""
        return self.state_dir / "demo"


class Time(Protocol):
    """The clock on the wall, and waiting."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""

    def wait(self, seconds: float) -> bool:
        """Wait; return True, at once, when the process is to stop."""


class WallTime:
    """Real time. It stops at SIGTERM or SIGINT, and when the parent process is gone."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._parent = os.getppid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float) -> bool:
        return self._stop.wait(seconds) or os.getppid() != self._parent

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()


def set_up_log(name: str) -> logging.Logger:
    """Return the logger of a process: one line a message to stdout, with the time in UTC."""
    formatter = logging.Formatter(f"%(asctime)sZ {name} %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # httpx tells of every request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return logging.getLogger("demo")


class Outage:
    """Tells once that the API is away, and once that it is back."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._is_away = False

    def begins(self, error: Exception) -> None:
        if not self._is_away:
            self._log.info("The API is away: %s", error)
        self._is_away = True

    def ends(self) -> None:
        if self._is_away:
            self._log.info("The API is back.")
        self._is_away = False


def write_whole(path: Path, text: str) -> None:
    """Write a private file so that readers see the old text or the new, never a part."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def run_until_stopped(time: Time, turn: Callable[[], float]) -> None:
    """Call `turn` again and again; it returns how many seconds to wait before the next."""
    while not time.wait(turn()):
        pass
