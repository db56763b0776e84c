"""A whole instance as a user runs it: its own state folder and port, reached from outside only."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis

from tradingdb.services.processes import SPARE, ProcessId, marked, wait_until
from tradingdb.services.servers import read_env_file
from tradingdb.services.state import PROJECT, StateDir

# Guards against waiting for ever; nothing here measures time.
PATIENCE = 120.0
OURS = ("web", "worker", "postgres", "redis", "beat")
LOGS = ("web", "worker", "beat", "demo")


@dataclass(frozen=True)
class Running:
    """One instance, its commands, its API and its databases."""

    state: StateDir
    port: int

    @property
    def environ(self) -> dict[str, str]:
        """Our environment without the servers and the settings of the test run."""
        ours = ("STATE_DIR", "PORT", "HOST", "WORKERS", "CANDLES", "SPEED", "DJANGO_SETTINGS_MODULE", "PROCESS_KIND")
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ours and not name.endswith(("_URL", "_KEY_FILE"))
        }
        return inherited | {"STATE_DIR": str(self.state.root), "PORT": str(self.port)}

    @property
    def urls(self) -> dict[str, str]:
        return read_env_file(self.state)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `python …` in the project to its end."""
        return subprocess.run(
            [sys.executable, *words], cwd=PROJECT, env=self.environ, capture_output=True, text=True,
            timeout=2 * PATIENCE, check=False,
        )  # fmt: skip

    def services(self, command: str) -> str:
        """Run `python -m tradingdb.services command` and return what it says; it has to succeed."""
        result = self.call("-m", "tradingdb.services", command)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def manage(self, *words: str) -> str:
        """Run a management command and return its output; it has to succeed."""
        result = self.call("manage.py", *words)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def bots(self, count: int) -> list[dict[str, str]]:
        made: list[dict[str, str]] = json.loads(self.manage("create_bots", str(count)))
        return made

    def staff(self, role: str) -> dict[str, str]:
        made: dict[str, str] = json.loads(self.manage("create_staff", role))
        return made

    def api(self, token: str) -> httpx.Client:
        """A caller of the API; close it."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=f"{self.base_url}/api/v1", headers=headers, timeout=10, trust_env=False)

    def browser(self) -> httpx.Client:
        """A browser that follows redirects and has not signed in; close it."""
        return httpx.Client(base_url=self.base_url, follow_redirects=True, trust_env=False, timeout=20)

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.urls["DATABASE_URL"]) as connection:
            return connection.execute(query, values).fetchall()

    def redis(self) -> redis.Redis:
        """A client of the live keys; close it."""
        return redis.Redis.from_url(self.urls["REDIS_URL"], decode_responses=True)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/health/ready", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def process(self, name: str) -> ProcessId:
        process = self.state.process(name)
        assert process is not None, f"{name} does not run"
        return process

    def spares(self) -> list[ProcessId]:
        """The processes that stand by to take over."""
        serving = self.state.process("web")
        return [process for process in marked(self.state.root) if process != serving and _is_spare(process)]

    def kill(self, name: str) -> None:
        """Kill a process without warning, and return when the supervisor has brought everything back."""
        old = self.process(name)
        os.kill(old.pid, signal.SIGKILL)
        assert wait_until(lambda: self.state.process(name) not in (None, old), PATIENCE), f"{name} stays dead"
        assert wait_until(self.is_ready, PATIENCE), f"{name} was killed:\n{self.state.last_lines('web')}"

    def log_sizes(self) -> dict[str, int]:
        """How long each of our logs is now."""
        paths = {name: self.state.logs / f"{name}.log" for name in LOGS}
        return {name: path.stat().st_size if path.exists() else 0 for name, path in paths.items()}

    def log_since(self, name: str, sizes: Mapping[str, int]) -> str:
        """What a process has written since then."""
        with (self.state.logs / f"{name}.log").open("rb") as log:
            log.seek(sizes[name])
            return log.read().decode()


def _is_spare(process: ProcessId) -> bool:
    # It was started as one; whether it has been called up meanwhile, the pid file says.
    try:
        return f"{SPARE}=1".encode() in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def sign_in(browser: httpx.Client, email: str, password: str) -> httpx.Response:
    """Sign in at the admin's door, as a person does, and return the page that follows."""
    browser.get("/admin/login/")
    form = {"username": email, "password": password, "next": "/", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    return browser.post("/admin/login/", data=form)


def every_page(api: httpx.Client, path: str, **filters: str) -> list[dict[str, Any]]:
    """All rows of a list of the API."""
    rows: list[dict[str, Any]] = []
    query: dict[str, str] = {"limit": "1000", **filters}
    while True:
        answer = api.get(path, params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        rows += page["items"]
        if page["next"] is None:
            return rows
        query["cursor"] = page["next"]


def log_complaints(text: str) -> list[str]:
    """The lines of a log that tell of an error."""
    words = ("Traceback", " ERROR ", " CRITICAL ", " ERROR/", " CRITICAL/")
    return [line for line in text.splitlines() if any(word in line for word in words)]


def raised(text: str) -> list[str]:
    """The exceptions that ended each traceback of a log: the first line after it that is not indented."""
    found, is_open = [], False
    for line in text.splitlines():
        if line.startswith("Traceback"):
            is_open = True
        elif is_open and line and not line.startswith((" ", "|", "+")):
            found.append(line)
            is_open = False
    return found


def start_demo(instance: Running, speed: str) -> "subprocess.Popen[bytes]":
    """Start the demo beside the instance, as the supervisor does."""
    words: Sequence[str] = [sys.executable, "-m", "demo"]
    environ = instance.environ | {"BASE_URL": instance.base_url, "SPEED": speed}
    with (instance.state.logs / "demo.log").open("ab") as log:
        return subprocess.Popen(words, cwd=PROJECT, env=environ, stdout=log, stderr=subprocess.STDOUT)


def spooled_bytes(folder: Path) -> dict[str, int]:
    """The size of each spool that is not empty; facts the server refused count as well."""
    files = [*folder.glob("*.jsonl"), *folder.glob("*.rejected")]
    return {file.name: file.stat().st_size for file in files if file.stat().st_size}
