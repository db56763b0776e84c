"""One running instance: its servers, our own processes, and the order in which they start."""

import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPException

from tradingdb.services.errors import ServiceError
from tradingdb.services.processes import Child, Restart
from tradingdb.services.servers import START_SECONDS, plan_servers, write_env_file
from tradingdb.services.state import PROJECT, Lock, StateDir, port_is_free
from tradingdb.services.storage import plan_watch
from tradingdb.services.supervisor import Supervisor, stop_leftovers

READY_SECONDS = 90.0
# A starting server has better things to do than to say that it is not ready.
POLL_SECONDS = 0.25
DEFAULT_PORT = 8000
HIGHEST_PORT = 65_535
OUR_PROCESSES = ("web", "worker", "beat")
# Our sockets: each frame is built once for all who get it (7 to 9 microseconds a delivery against more than 20).
FRAMES = "bots.live.protocol:FrameProtocol"
# Celery warns a worker that runs as root; whoever starts us as root means it.
QUIET_WORKER = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}


@dataclass(frozen=True, slots=True)
class Instance:
    """What to run and where; everything it keeps lies in its state folder."""

    state: StateDir
    environ: Mapping[str, str]
    host: str
    port: int
    web_workers: int

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Instance":
        """Read STATE_DIR, HOST, PORT and WORKERS. Raises ServiceError for a number that is none."""
        return cls(
            state=StateDir.from_environment(environ),
            environ=environ,
            host=environ.get("HOST") or "127.0.0.1",
            port=_number(environ, "PORT", DEFAULT_PORT, HIGHEST_PORT),
            web_workers=_number(environ, "WORKERS", 1, 256),
        )

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 (compared, not bound)  # nosec B104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def claim(self, lock: Lock, say: Callable[[str], None]) -> None:
        """Make the state folder ours and clean, and see that the web port is free. Raises ServiceError."""
        if not lock.take():
            raise ServiceError(
                f"Another instance is running in {self.state.root}; stop it with `make down` "
                "or name another folder: STATE_DIR=/path/to/folder."
            )
        stop_leftovers(self.state, say)
        if not port_is_free(self.host, self.port):
            raise ServiceError(
                f"Port {self.port} on {self.host} is taken by another program; stop that program "
                f"or name another port: PORT={self.port + 1}."
            )
        self.state.write_pid("supervisor", os.getpid())

    def serve(self, say: Callable[[str], None], *, demo: Sequence[str] = ()) -> None:
        """Start everything, keep it alive, and stop it when a signal asks for that.

        demo: a module and its arguments, run as one more child once the web server is ready.
        Raises ServiceError, with everything stopped again, when a part does not come up.
        """
        supervisor = Supervisor(self.state, say)
        try:
            with supervisor.in_charge():
                variables = self._start_servers(supervisor)
                for step in (("migrate", "--noinput"), ("bootstrap",)):
                    supervisor.run_step(self._manage(step, variables))
                # Only the steps may act as the superuser.
                variables.pop("ADMIN_DATABASE_URL", None)
                for child in self.our_children(variables):
                    supervisor.start(child)
                supervisor.wait_for(self.is_ready, seconds=READY_SECONDS, pause=POLL_SECONDS, log="web")
                say(f"ready at {self.base_url}; the admin password is in {self.state.secrets / 'admin_password'}")
                if demo:
                    supervisor.run_step(self._manage(("prepare_demo",), variables))
                    supervisor.start(self._python(demo[0], demo, variables, restart=Restart.AFTER_FAILURE))
                supervisor.run_forever()
        finally:
            self.state.remove_pid("supervisor")

    def is_ready(self) -> bool:
        """Whether the web server says that it and what it needs are ready, and worker and beat run."""
        return all(self.state.process(name) for name in OUR_PROCESSES) and _answers_ready(self.base_url)

    def our_children(self, variables: Mapping[str, str]) -> list[Child]:
        """Web server, worker and beat."""
        web = ["uvicorn", "tradingdb.asgi:application", "--host", self.host, "--port", str(self.port)]
        web += ["--workers", str(self.web_workers)] if self.web_workers > 1 else []
        web += ["--ws", self.environ.get("UVICORN_WS") or FRAMES, "--lifespan", "on"]
        web += ["--no-access-log", "--timeout-graceful-shutdown", "5", "--timeout-keep-alive", "75"]
        worker = ["celery", "-A", "tradingdb", "worker", "-c", "2", "--loglevel", "INFO", "-Q", "celery"]
        # Workers need nothing of each other; gossip fails loudly whenever Redis is restarted.
        worker += ["--without-gossip", "--without-mingle"]
        schedule = self.state.root / "beat" / "celerybeat-schedule"
        beat = ["celery", "-A", "tradingdb", "beat", "--loglevel", "INFO", "--pidfile=", "--schedule", str(schedule)]
        return [
            # Several processes of one web server do not stand by: its own parent starts them.
            replace(self._python("web", web, variables), has_spare=self.web_workers == 1),
            # A task gets time to end; one that does not is run again by the next worker.
            self._python("worker", worker, {**variables, **QUIET_WORKER}, stop_seconds=20.0),
            self._python("beat", beat, variables),
        ]

    def _start_servers(self, supervisor: Supervisor) -> dict[str, str]:
        servers = plan_servers(self.state, self.environ)
        if servers.postgres is not None:
            watch = plan_watch(self.state, servers.postgres.data, self.environ, supervisor.say)
            watch.look()
            supervisor.watch(watch.look)
        for child in servers.children():
            supervisor.start(child)
        supervisor.wait_for(servers.are_ready, seconds=START_SECONDS, pause=0.05, log="postgres")
        servers.prepare()
        variables = {"BASE_URL": self.base_url, **servers.environment()}
        write_env_file(self.state, variables)
        return {**self.environ, **variables, "HOST": self.host, "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}

    def _manage(self, words: Sequence[str], variables: Mapping[str, str]) -> Child:
        return Child(words[0], [sys.executable, "manage.py", *words], PROJECT, dict(variables))

    def _python(
        self,
        name: str,
        module: Sequence[str],
        variables: Mapping[str, str],
        *,
        stop_seconds: float = 10.0,
        restart: Restart = Restart.ALWAYS,
    ) -> Child:
        return Child(
            name=name,
            command=[sys.executable, "-m", *module],
            directory=PROJECT,
            environment=dict(variables),
            stop_signals=((signal.SIGTERM, stop_seconds),),
            restart=restart,
        )


def _answers_ready(base_url: str) -> bool:
    # The environment may name a proxy; our own server is not behind it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{base_url}/health/ready", timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, HTTPException):
        return False


def _number(environ: Mapping[str, str], name: str, default: int, highest: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise ServiceError(f"{name}={text} is not a whole number from 1 to {highest}; correct it.")
    return int(text)
