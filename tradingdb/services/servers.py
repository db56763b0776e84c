"""The servers an instance needs: those whose URL the environment does not give."""

from collections.abc import Mapping
from dataclasses import dataclass

from tradingdb.lib.private_files import write_private
from tradingdb.services.postgres import Postgres, plan_postgres
from tradingdb.services.processes import Child
from tradingdb.services.secret_files import Secrets, load_secrets
from tradingdb.services.state import StateDir
from tradingdb.services.valkey import Valkey, plan_valkey

START_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Servers:
    """PostgreSQL and Valkey of one state folder; None for one that runs elsewhere."""

    state: StateDir
    secrets: Secrets
    environ: Mapping[str, str]
    postgres: Postgres | None
    valkey: Valkey | None

    def children(self) -> list[Child]:
        return [server.child() for server in (self.postgres, self.valkey) if server is not None]

    def are_ready(self) -> bool:
        return all(server.is_ready() for server in (self.postgres, self.valkey) if server is not None)

    def prepare(self) -> None:
        """Make roles and databases, once PostgreSQL is ready."""
        if self.postgres is not None:
            self.postgres.prepare_databases()

    def environment(self) -> dict[str, str]:
        """The variables by which everything else finds the servers and the secrets."""
        given = {name: self.environ[name] for name in ("DATABASE_URL", "REDIS_URL") if self.environ.get(name)}
        if "DATABASE_URL" in given:
            given["BOT_DATABASE_URL"] = self.environ.get("BOT_DATABASE_URL") or given["DATABASE_URL"]
        key_files = {
            "SECRET_KEY_FILE": self.secrets.file("django_secret_key"),
            "FIELD_KEY_FILE": self.secrets.file("field_keys"),
            "AUDIT_KEY_FILE": self.secrets.file("audit_key"),
        }
        return {
            **given,
            **(self.postgres.urls() if self.postgres else {}),
            **(self.valkey.urls() if self.valkey else {}),
            "STATE_DIR": str(self.state.root),
            **{name: self.environ.get(name) or str(path) for name, path in key_files.items()},
        }


def plan_servers(state: StateDir, environ: Mapping[str, str], *, durable: bool = True) -> Servers:
    """Choose and initialise the servers that the environment leaves to us. Starts nothing."""
    secrets = load_secrets(state.secrets)
    return Servers(
        state=state,
        secrets=secrets,
        environ=environ,
        postgres=None if environ.get("DATABASE_URL") else plan_postgres(state, secrets, environ, durable=durable),
        valkey=None if environ.get("REDIS_URL") else plan_valkey(state, secrets, environ, durable=durable),
    )


def write_env_file(state: StateDir, values: Mapping[str, str]) -> None:
    """Write STATE_DIR/run/tradingdb.env: one KEY=value a line, for the owner only."""
    write_private(state.env_file, "".join(f"{name}={value}\n" for name, value in values.items()))


def read_env_file(state: StateDir) -> dict[str, str]:
    """What write_env_file wrote; empty when there is no such file."""
    try:
        lines = state.env_file.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)
