"""The state folder: everything an instance keeps, and the proof that only one supervisor uses it."""

import fcntl
import json
import os
import random
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tradingdb.services.errors import ServiceError
from tradingdb.services.processes import ProcessId

PROJECT = Path(__file__).resolve().parents[2]
# Below the range that the kernel takes for outgoing connections, which could hold a server's port when it restarts.
SERVER_PORTS = range(20_000, 32_000)
LOG_LIMIT_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StateDir:
    """The folders below STATE_DIR by name."""

    root: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "StateDir":
        """STATE_DIR, or .state beside the Makefile."""
        return cls(Path(environ.get("STATE_DIR") or PROJECT / ".state").resolve())

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def env_file(self) -> Path:
        return self.run / "tradingdb.env"

    def create(self) -> None:
        """Make the folder and what belongs in it; a folder that is already there keeps its mode."""
        try:
            # PostgreSQL's account passes through the state folder when root starts it; nobody may list it.
            self._make(self.root, 0o711)
            self._make(self.secrets, 0o700)
            self._make(self.run, 0o755)
            for name in ("logs", "redis", "beat"):
                self._make(self.root / name, 0o700)
            for folder in (self.root, self.run):
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(None, "Permission denied", folder)
        except OSError as e:
            raise ServiceError(
                f"The state folder {self.root} cannot be used ({e.strerror}); "
                "name a folder you can write to: STATE_DIR=/path/to/folder."
            ) from e

    def pid_file(self, name: str) -> Path:
        return self.run / f"{name}.pid"

    def write_pid(self, name: str, pid: int) -> None:
        """Record a process: its number first, then what tells it from a later process with the same number."""
        draft = self.run / f"{name}.pid.new"
        draft.write_text(f"{ProcessId.of(pid) or pid}\n")
        draft.replace(self.pid_file(name))

    def remove_pid(self, name: str) -> None:
        self.pid_file(name).unlink(missing_ok=True)

    def process(self, name: str) -> ProcessId | None:
        """The living process that the pid file names; None when it is gone or its number belongs to a stranger."""
        try:
            recorded = ProcessId.parse(self.pid_file(name).read_text())
        except FileNotFoundError:
            return None
        return recorded if recorded and recorded.is_alive() else None

    def processes(self) -> dict[str, ProcessId]:
        """Every living process with a pid file, by name."""
        found = {file.stem: self.process(file.stem) for file in sorted(self.run.glob("*.pid"))}
        return {name: process for name, process in found.items() if process is not None}

    def log_file(self, name: str) -> Path:
        """The log of a process; a log over 10 MB becomes the one before, NAME.log.1."""
        path = self.logs / f"{name}.log"
        with suppress(FileNotFoundError):
            if path.stat().st_size > LOG_LIMIT_BYTES:
                path.replace(path.with_suffix(".log.1"))
        return path

    def last_lines(self, name: str, count: int = 15) -> str:
        """The end of a log, indented."""
        try:
            lines = (self.logs / f"{name}.log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(f"    {line}" for line in lines[-count:])

    def port(self, name: str) -> int:
        """The port of a server: the one it had before, or another when somebody has taken that one."""
        file = self.run / "ports.json"
        try:
            ports: dict[str, int] = json.loads(file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            ports = {}
        if name not in ports or not port_is_free("127.0.0.1", ports[name]):
            ports[name] = free_port()
            draft = file.with_suffix(".new")
            draft.write_text(json.dumps(ports))
            draft.replace(file)
        return ports[name]

    @staticmethod
    def _make(folder: Path, mode: int) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(mode)


class Lock:
    """The claim of one supervisor on a state folder; the kernel drops it when the last holder dies."""

    def __init__(self, state: StateDir) -> None:
        self.descriptor = os.open(state.run / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)

    def take(self) -> bool:
        """Whether the folder is now ours; False when another supervisor has it."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        os.close(self.descriptor)


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(is_free: Callable[[str, int], bool] = port_is_free) -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    for port in random.sample(SERVER_PORTS, 200):  # a port, no secret  # nosec B311
        if is_free("127.0.0.1", port):
            return port
    raise ServiceError("No free port was found between 20000 and 32000; set DATABASE_URL and REDIS_URL.")
