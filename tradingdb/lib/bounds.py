"""How long anybody waits for PostgreSQL. The server keeps these bounds itself, so that no process can forget one.

Every process tells them when it connects. The login roles have the strictest as their defaults, for connections that
cannot tell: those of bots that write SQL, and those through PgBouncer.
"""

from dataclasses import dataclass

# Connecting, and noticing that a connection leads nowhere: in all about ten seconds after the last sign of life.
SOCKET: dict[str, int] = {
    "connect_timeout": 2,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds a statement may run, wait for a lock, and a transaction may stand idle."""

    statement: int
    lock: int
    idle: int

    def settings(self) -> dict[str, str]:
        """Return them under the names that PostgreSQL has for them."""
        return {
            "statement_timeout": f"{self.statement}s",
            "lock_timeout": f"{self.lock}s",
            "idle_in_transaction_session_timeout": f"{self.idle}s",
        }

    def options(self) -> str:
        """Return them as options of a new connection."""
        return " ".join(f"-c {name}={value}" for name, value in self.settings().items())


REQUESTS = Bounds(statement=5, lock=2, idle=10)
BOUNDS = {
    "web": REQUESTS,
    # As long as Celery lets a job run before it asks it to end.
    "worker": Bounds(statement=240, lock=2, idle=10),
    # Migrations build indexes, rebuilds read everything; a person watches them.
    "command": Bounds(statement=3600, lock=5, idle=60),
}
