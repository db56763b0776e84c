"""A project folder whose web server, worker, beat and demo are small stand-ins; the servers below them are real.

The stand-ins take the module names of the real programs and are found first, because the supervisor starts
`python -m uvicorn` in the project folder. So these tests need neither migrations nor a working application.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tradingdb.services.errors import ServiceError
from tradingdb.services.processes import ProcessId, wait_until
from tradingdb.services.servers import read_env_file
from tradingdb.services.state import PROJECT, StateDir, free_port

DRIVER = """
import sys
from pathlib import Path
from tradingdb.services import cli, instance
instance.PROJECT = Path(__file__).parent
sys.exit(cli.main(sys.argv[1:]))
"""
WEB = """
import http.server, sys
from tradingdb.services.processes import stand_by
stand_by()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/ready" else 404)
        self.end_headers()
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
SLEEPER = "import time\nprint('awake', flush=True)\ntime.sleep(3600)\n"
MANAGE = "import sys\nprint(*sys.argv[1:])\n"


@dataclass(frozen=True)
class Project:
    """A project folder with its own state folder and web port."""

    folder: Path
    state: StateDir
    port: int

    @property
    def environ(self) -> dict[str, str]:
        """Our environment without the servers of the test run, pointing to this project."""
        inherited = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_KEY_FILE"))}
        own = {"STATE_DIR": str(self.state.root), "PORT": str(self.port), "PYTHONPATH": str(PROJECT)}
        return inherited | own

    def command(self, *words: str) -> list[str]:
        return [sys.executable, str(self.folder / "driver.py"), *words]

    def call(self, *words: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """Run one command of the package to its end."""
        return subprocess.run(
            self.command(*words), env=self.environ | extra, capture_output=True, text=True, timeout=120, check=False
        )

    def up(self, **extra: str) -> None:
        result = self.call("up", **extra)
        assert result.returncode == 0, result.stdout + result.stderr

    def process(self, name: str) -> ProcessId:
        process = self.state.process(name)
        assert process is not None, f"{name} does not run"
        return process

    def await_new(self, old: ProcessId, name: str) -> ProcessId:
        """The process that the supervisor started in place of `old`."""
        assert wait_until(lambda: self.state.process(name) not in (None, old), 20.0), f"{name} was not started again"
        return self.process(name)

    def sql(self, query: str, role: str = "DATABASE_URL") -> list[tuple[object, ...]]:
        """The rows of a query, asked of the running server as soon as it takes connections."""
        url = read_env_file(self.state)[role]
        assert wait_until(lambda: _takes_connections(url), 20.0)
        with psycopg.connect(url) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def log(self, name: str) -> str:
        return (self.state.logs / f"{name}.log").read_text()


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator["type[Project] | object"]:
    projects: list[Project] = []

    def make(name: str = "project") -> Project:
        folder = tmp_path / name
        for module, code in {"uvicorn": WEB, "celery": SLEEPER, "demo": SLEEPER}.items():
            (folder / module).mkdir(parents=True)
            (folder / module / "__init__.py").touch()
            (folder / module / "__main__.py").write_text(code)
        (folder / "manage.py").write_text(MANAGE)
        (folder / "driver.py").write_text(DRIVER)
        projects.append(Project(folder, StateDir(folder / "state"), free_port()))
        return projects[-1]

    yield make
    for project in projects:
        project.call("down")


@pytest.fixture
def project(make_project) -> Project:
    return make_project()


def _takes_connections(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except (psycopg.OperationalError, ServiceError):
        return False
    return True
