"""The embedded Valkey (or Redis 7): its settings file, its process, whether it is ready."""

import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tradingdb.lib.private_files import write_private
from tradingdb.services.binaries import find_redis
from tradingdb.services.processes import Child
from tradingdb.services.secret_files import Secrets
from tradingdb.services.state import StateDir


@dataclass(frozen=True, slots=True)
class Valkey:
    """One Valkey server whose append-only file lies in STATE_DIR/redis."""

    state: StateDir
    secrets: Secrets
    program: Path
    port: int
    durable: bool

    @property
    def folder(self) -> Path:
        return self.state.root / "redis"

    def initialise(self) -> None:
        """Write the settings; the password stands in this file because everybody can read a command line."""
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": _quoted(str(self.folder)),
            "requirepass": _quoted(self.secrets.redis_password),
            "daemonize": "no",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        write_private(self.folder / "valkey.conf", "".join(lines))

    def child(self) -> Child:
        return Child(
            name="redis",
            command=[str(self.program), str(self.folder / "valkey.conf")],
            directory=self.folder,
            environment={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
            stop_signals=((signal.SIGTERM, 10.0),) if self.durable else (),
        )

    def is_ready(self) -> bool:
        """Whether the server answers a PING; it does not while it still reads its file."""
        password = self.secrets.redis_password
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (part := connection.recv(1024)):
                    answer += part
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def urls(self) -> dict[str, str]:
        return {"REDIS_URL": f"redis://:{self.secrets.redis_password}@127.0.0.1:{self.port}/0"}


def plan_valkey(state: StateDir, secrets: Secrets, environ: Mapping[str, str], *, durable: bool) -> Valkey:
    """Choose program and port for the server of this state folder and write its settings."""
    server = Valkey(state, secrets, find_redis(environ), state.port("redis"), durable)
    server.initialise()
    return server


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
