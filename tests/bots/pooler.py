"""A PgBouncer in transaction pooling before the test database, for the time of a `with` block."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 10
# It runs under root no more than PostgreSQL does.
UNPRIVILEGED = "nobody"


def pgbouncer() -> str:
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    assert program, "PgBouncer is missing: make pgbouncer"
    return program


@contextmanager
def pooler(login: dict[str, Any], database: str, *, sessions: int) -> Iterator[dict[str, Any]]:
    """Give the login that leads through the pooler; its clients share `sessions` connections to the database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="tradingdb-pooler-"))
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\npooled = host={login['HOST']} port={login['PORT']} dbname={database} user={login['USER']} "
        f"password={login['PASSWORD']}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 100\n"
        # Search path, time zone and time limits are the role's own then.
        "ignore_startup_parameters = options,extra_float_digits\n"
    )
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
        shutil.chown(folder / "pgbouncer.ini", user)
    (folder / "pgbouncer.ini").chmod(0o600)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([pgbouncer(), str(folder / "pgbouncer.ini")], stdout=log, stderr=log, user=user)
    through = login | {"HOST": "127.0.0.1", "PORT": port, "NAME": "pooled"}
    try:
        _await(f"host=127.0.0.1 port={port} dbname=pooled user={login['USER']}", process, folder / "log")
        yield through
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        shutil.rmtree(folder)


def _await(conninfo: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(conninfo, connect_timeout=2).close()
            return
        except psycopg.OperationalError as e:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PgBouncer did not start: {log.read_text()}") from e
            time.sleep(0.05)
