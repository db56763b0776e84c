"""A real TimescaleDB for the time of one command: Debian trixie's PostgreSQL 17 and extension, in a folder of its own.

    python -m tests.timescale_server COMMAND...

The command finds the server by DATABASE_URL and its programs by TRADINGDB_PG_BIN. Needs root, for chroot; the folder is
built once by debootstrap and kept in TRADINGDB_CHROOTS (/var/cache/tradingdb). Debian builds the Apache edition.
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tradingdb.services.postgres import DURABLE_STOP, SETTINGS, THROWAWAY_SETTINGS
from tradingdb.services.processes import Child, spawn, wait_until
from tradingdb.services.roles import APP_ROLE, BOT_ROLE, DATABASE, assert_roles

SUITE = "trixie"
PACKAGES = "postgresql-17,postgresql-17-timescaledb"
PROGRAMS = "/usr/lib/postgresql/17/bin"
# A process in the folder that is not root, and that ends when we do.
AS_POSTGRES = "setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig=INT --"
OWN_SETTINGS = {
    "shared_preload_libraries": "timescaledb,pg_stat_statements",
    # The folder has no /dev/shm of its own.
    "dynamic_shared_memory_type": "mmap",
    "timescaledb.telemetry_level": "off",
}
START_SECONDS = 60.0


def main(command: Sequence[str]) -> int:
    """Run the command beside the server and return its exit status."""
    if os.geteuid() != 0:
        sys.stderr.write("TimescaleDB comes from Debian trixie in a chroot, which needs root.\n")
        return 1
    # `make` passes SIGTERM on; the server must not outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with timescale_server(chroot_folder()) as variables:
        return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode


def chroot_folder() -> Path:
    """The folder with Debian trixie in it; built when it is not there, by one process at a time."""
    cache = Path(os.environ.get("TRADINGDB_CHROOTS", "/var/cache/tradingdb"))
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{SUITE}-timescaledb"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    if shutil.which("debootstrap") is None:
        apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=apt, check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "debootstrap"], env=apt, check=True)
    sys.stderr.write(f"building Debian {SUITE} with TimescaleDB in {folder}, once\n")
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    log = folder.with_name(f"{folder.name}.log")
    with log.open("w") as output:
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(draft)],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise SystemExit(f"debootstrap failed:\n{log.read_text()[-2000:]}")
    draft.rename(folder)


@contextmanager
def timescale_server(root: Path) -> Iterator[Mapping[str, str]]:
    """Start a server with fresh data on a free port, give the variables that lead to it, and stop it."""
    passwords = {role: secrets.token_urlsafe(16) for role in ("postgres", APP_ROLE, BOT_ROLE)}
    with tempfile.TemporaryDirectory(prefix="tradingdb-timescale-") as own, _data_folder(root) as data:
        port = _initialise(root, data, passwords["postgres"])
        folder = Path(own)
        (folder / "bin").mkdir()
        for name in ("postgres", "initdb", "pg_dump", "pg_restore"):
            program = folder / "bin" / name
            program.write_text(f'#!/bin/sh\nexec chroot {root} {PROGRAMS}/{name} "$@"\n')
            program.chmod(0o755)
        command = ["chroot", str(root), *AS_POSTGRES.split(), f"{PROGRAMS}/postgres", "-D", f"/tmp/{data.name}/data"]
        with (folder / "log").open("wb") as log:
            server = spawn(Child("timescaledb", command, Path("/"), dict(os.environ)), log)
        try:

            def url_of(database: str, role: str = "postgres") -> str:
                return f"postgresql://{role}:{passwords[role]}@127.0.0.1:{port}/{database}"

            if not wait_until(lambda: server.poll() is not None or _answers(url_of("postgres")), START_SECONDS):
                server.kill()
            if server.poll() is not None:
                raise SystemExit(f"TimescaleDB did not start:\n{(folder / 'log').read_text()}")
            assert_roles(url_of, {role: passwords[role] for role in (APP_ROLE, BOT_ROLE)})
            yield {
                "DATABASE_URL": url_of(DATABASE, APP_ROLE),
                "BOT_DATABASE_URL": url_of(DATABASE, BOT_ROLE),
                "ADMIN_DATABASE_URL": url_of(DATABASE),
                "TRADINGDB_PG_BIN": str(folder / "bin"),
            }
        finally:
            for signum, seconds in DURABLE_STOP:
                server.send_signal(signum)
                if wait_until(lambda: server.poll() is not None, seconds):
                    break


@contextmanager
def _data_folder(root: Path) -> Iterator[Path]:
    """An empty folder for the data, in the /tmp of the chroot."""
    folder = Path(tempfile.mkdtemp(prefix="tradingdb-", dir=root / "tmp"))
    try:
        entry = next(line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if "postgres" in line)
        os.chown(folder, int(entry[2]), int(entry[3]))
        yield folder
    finally:
        shutil.rmtree(folder)


def _initialise(root: Path, folder: Path, password: str) -> int:
    """Make the data of a server, with its settings, in `folder`, and return its port."""
    inside = f"/tmp/{folder.name}"
    secret = folder / "password"
    secret.write_text(password)
    initdb = f"{PROGRAMS}/initdb -D {inside}/data -U postgres --pwfile={inside}/password --auth=scram-sha-256"
    command = [*AS_POSTGRES.split(), *initdb.split(), "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run(["chroot", str(root), *command], stdout=subprocess.DEVNULL, check=True)
    secret.unlink()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    settings = {**SETTINGS, **THROWAWAY_SETTINGS, **OWN_SETTINGS, "port": str(port)}
    with (folder / "data" / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    return port


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
