"""The embedded PostgreSQL: make its data folder, write its settings, say whether it is ready."""

import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tradingdb.services.accounts import Account, run_as, server_account
from tradingdb.services.binaries import PostgresPrograms, find_postgres, reachable
from tradingdb.services.errors import ServiceError
from tradingdb.services.processes import Child
from tradingdb.services.roles import APP_ROLE, BOT_ROLE, DATABASE, assert_roles
from tradingdb.services.secret_files import Secrets
from tradingdb.services.state import StateDir
from tradingdb.services.storage import READ_ONLY_FILE

SUPERUSER = "postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # Each web process may open 20, each worker process 8.
    "max_connections": "200",
    "password_encryption": "scram-sha-256",  # the name of a method, no password  # nosec B105
    "wal_level": "replica",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # After a kill: one sync of the file system instead of one for each of thousands of files, which took 4 to 8 s.
    "recovery_init_sync_method": "syncfs",
    # How much log there can be to read again before the server answers.
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    # What was sent stays out of the log: neither the statement with its values nor the row that broke a rule.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# Nobody misses the data of a test: no waiting for the disk, and room for every worker's pool.
THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
}
# Fast shutdown ends the sessions and writes a checkpoint; immediate shutdown leaves the rest to recovery.
DURABLE_STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))
THROWAWAY_STOP = ((signal.SIGQUIT, 5.0),)
# Line of postmaster.pid that holds its state.
STATUS_LINE = 8


@dataclass(frozen=True, slots=True)
class Postgres:
    """One PostgreSQL server whose data lie in STATE_DIR/postgres/data."""

    state: StateDir
    secrets: Secrets
    programs: PostgresPrograms
    account: Account | None
    port: int
    durable: bool

    @property
    def data(self) -> Path:
        return self.state.root / "postgres" / "data"

    def initialise(self) -> None:
        """Make the data folder when there is none, and write this start's settings into it.

        Raises ServiceError when the data were made by another major version.
        """
        if not self.data.exists():
            self._make_data_folder()
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != str(self.programs.major):
            raise ServiceError(
                f"The data in {self.data} are of PostgreSQL {made_by}, but {self.programs.folder} holds "
                f"{self.programs.major}; set TRADINGDB_PG_BIN to the bin folder of PostgreSQL {made_by}."
            )
        self._write_for_server(self.data / "tradingdb.conf", self._configuration())

    def child(self) -> Child:
        return Child(
            name="postgres",
            command=[self.programs.program("postgres"), "-D", str(self.data)],
            directory=Path("/"),
            environment=_environment(),
            account=self.account,
            stop_signals=DURABLE_STOP if self.durable else THROWAWAY_STOP,
            before_start=self.forget_dead_postmaster,
        )

    def is_ready(self) -> bool:
        """Whether the server takes connections. Raises ServiceError when it does not know our password."""
        if not self._says_ready():
            # A connection now would only leave a FATAL line in its log.
            return False
        try:
            psycopg.connect(self._url(SUPERUSER, "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError as e:
            if "password authentication failed" in str(e):
                raise ServiceError(
                    f"PostgreSQL in {self.data} does not accept the password in "
                    f"{self.secrets.file('postgres_superuser')}; put the file back that belongs to it."
                ) from None
            return False
        return True

    def _says_ready(self) -> bool:
        """Whether the postmaster wrote "ready" into its pid file, where pg_ctl looks as well."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= STATUS_LINE and lines[STATUS_LINE - 1].strip() == "ready"

    def prepare_databases(self) -> None:
        """Make roles, database and extensions as they should be; safe at every start."""
        passwords = {APP_ROLE: self.secrets.app_password, BOT_ROLE: self.secrets.bot_password}
        assert_roles(lambda database: self._url(SUPERUSER, database), passwords)

    def urls(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self._url(APP_ROLE, DATABASE),
            "BOT_DATABASE_URL": self._url(BOT_ROLE, DATABASE),
            "ADMIN_DATABASE_URL": self._url(SUPERUSER, DATABASE),
        }

    def forget_dead_postmaster(self) -> None:
        """Let a new server start although the pid file of one that was killed names a number still in use.

        The number may be a zombie that its parent never collects, or a stranger's by now; PostgreSQL would refuse
        for ever. It takes its own parent's number for stale, so we write ours there and leave the rest of the file:
        from that PostgreSQL still finds out whether old sessions hold the shared memory, and waits for them.
        """
        file = self.data / "postmaster.pid"
        try:
            lines = file.read_text().splitlines(keepends=True)
            pid = int(lines[0])
        except (FileNotFoundError, IndexError, ValueError):
            return
        if not self._is_our_postmaster(pid):
            self._write_for_server(file, "".join([f"{os.getpid()}\n", *lines[1:]]))

    def _is_our_postmaster(self, pid: int) -> bool:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return os.fsencode(self.data) in arguments

    def _url(self, role: str, database: str) -> str:
        password = {
            SUPERUSER: self.secrets.superuser_password,
            APP_ROLE: self.secrets.app_password,
            BOT_ROLE: self.secrets.bot_password,
        }[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def _make_data_folder(self) -> None:
        """Run initdb beside the final place and move the result there: an interrupted one leaves no half folder."""
        draft = self.data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        password_file = draft.with_name("password")
        self._write_for_server(password_file, self.secrets.superuser_password)
        command = [
            *(self.programs.program("initdb"), "-D", str(draft), "-U", SUPERUSER, f"--pwfile={password_file}"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--data-checksums"),
            *([] if self.durable else ["--no-sync"]),
        ]
        result = run_as(self.account, command, _environment())
        password_file.unlink()
        if result.returncode != 0:
            raise ServiceError(f"initdb failed:\n{result.stderr.strip()}")
        with (draft / "postgresql.conf").open("a") as file:
            file.write("include = 'tradingdb.conf'\n")
        draft.rename(self.data)

    def _configuration(self) -> str:
        settings = SETTINGS | ({} if self.durable else THROWAWAY_SETTINGS) | {"port": str(self.port)}
        if self.programs.has_library("pg_stat_statements"):
            settings["shared_preload_libraries"] = "pg_stat_statements"
        lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
        lines.append(f"include_if_exists = '{READ_ONLY_FILE}'\n")
        return "# Written at every start; use ALTER SYSTEM for settings of your own.\n" + "".join(lines)

    def _write_for_server(self, path: Path, text: str) -> None:
        """Write a file that belongs to the server's account and nobody else can read."""
        with suppress(FileNotFoundError):
            path.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            if self.account is not None:
                os.fchown(descriptor, self.account.uid, self.account.gid)
            file.write(text)


def plan_postgres(state: StateDir, secrets: Secrets, environ: Mapping[str, str], *, durable: bool) -> Postgres:
    """Choose programs, account and port for the server of this state folder, and make its data ready to start."""
    folder = state.root / "postgres"
    folder.mkdir(exist_ok=True)
    account = server_account(folder)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
    programs = reachable(find_postgres(environ), account, state.root / "programs")
    server = Postgres(state, secrets, programs, account, state.port("postgres"), durable)
    server.initialise()
    return server


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
