"""The command line: python -m tradingdb.services COMMAND."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tradingdb.services.background import await_ready, start_supervisor, stop_supervisor
from tradingdb.services.errors import ServiceError
from tradingdb.services.instance import POLL_SECONDS, READY_SECONDS, Instance
from tradingdb.services.processes import wait_until
from tradingdb.services.servers import read_env_file
from tradingdb.services.state import Lock, StateDir
from tradingdb.services.supervisor import stop_leftovers
from tradingdb.services.throwaway import run_with_servers

NOT_RUNNING = 3
LINES_OF_LOG = 20
ENVIRONMENT = """\
environment:
  STATE_DIR            everything the instance keeps (default: .state beside the Makefile)
  HOST, PORT           where the web server listens (127.0.0.1, 8000)
  WORKERS              number of web server processes (1)
  DATABASE_URL         use this PostgreSQL and start none; BOT_DATABASE_URL defaults to it
  REDIS_URL            use this Redis and start none
  DISK_RESERVE_MB      free room below which the embedded PostgreSQL is read-only (64; 0: never)
  TRADINGDB_PG_BIN     folder with the PostgreSQL programs to use
  TRADINGDB_REDIS_BIN  the valkey-server or redis-server to use
  UVICORN_WS           WebSocket implementation of uvicorn (bots.live.protocol:FrameProtocol)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; an error the user can act on is one sentence on stderr."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.action(options))
    except ServiceError as e:
        sys.stderr.write(f"error: {e}\n")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def run(options: argparse.Namespace) -> int:
    """Everything in the foreground until Ctrl-C."""
    instance = _instance()
    instance.claim(Lock(instance.state), _say)
    with instance.state.log_file("supervisor").open("a") as log:

        def say(message: str) -> None:
            _say(message)
            log.write(_stamped(message))
            log.flush()

        say(f"starting; logs are in {instance.state.logs}")
        instance.serve(say, demo=options.words)
    return 0


def up(options: argparse.Namespace) -> int:
    """Everything in the background; returns when it is ready."""
    instance = _instance()
    lock = Lock(instance.state)
    if not lock.take():
        return _already_running(instance)
    instance.claim(lock, _say)
    written_before = _size(instance.state)
    supervisor = start_supervisor(instance, lock, _say)
    lock.release()
    is_ready = has_given_up = False
    try:
        is_ready = await_ready(instance, supervisor)
        has_given_up = not supervisor.is_alive()
    finally:
        if not is_ready:
            stop_supervisor(supervisor)
    if not is_ready:
        _explain_failure(instance.state, written_before, has_given_up)
        raise ServiceError("the start failed and everything is stopped again.")
    _say(f"ready at {instance.base_url}; the admin password is in {instance.state.secrets / 'admin_password'}")
    return 0


def down(options: argparse.Namespace) -> int:
    """Stop what `up` or `run` started; fine when nothing runs."""
    state = StateDir.from_environment(os.environ)
    if not state.run.is_dir():
        _say("nothing was running")
        return 0
    state.create()
    lock = Lock(state)
    was_running = not lock.take()
    supervisor = state.process("supervisor")
    if was_running and supervisor is not None:
        stop_supervisor(supervisor)
    if was_running and not wait_until(lock.take, READY_SECONDS):
        raise ServiceError(f"The supervisor of {state.root} did not end; see {state.logs}.")
    stop_leftovers(state, _say)
    _say("stopped" if was_running else "nothing was running")
    return 0


def status(options: argparse.Namespace) -> int:
    """List what runs; exit status 3 when nothing does."""
    state = StateDir.from_environment(os.environ)
    processes = state.processes()
    for name, process in processes.items():
        sys.stdout.write(f"{name:<12}{process.pid}\n")
    if "supervisor" not in processes:
        sys.stdout.write(f"not running in {state.root}\n")
        return NOT_RUNNING
    sys.stdout.write(f"{'address':<12}{read_env_file(state).get('BASE_URL', '-')}\n")
    return 0


def execute(options: argparse.Namespace) -> int:
    """Run a command with servers of its own, which end with it."""
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        os.execvp(options.words[0], options.words)  # noqa: S606 (the user's own command)  # nosec B606
    return run_with_servers(options.words, os.environ, durable=options.durable)


def _instance() -> Instance:
    instance = Instance.from_environment(os.environ)
    instance.state.create()
    return instance


def _already_running(instance: Instance) -> int:
    _say(f"already running in {instance.state.root}")

    def is_ready() -> bool:
        # It may have been started with another port than ours, and it may still be writing down which.
        port = urlsplit(read_env_file(instance.state).get("BASE_URL", "")).port
        return port is not None and replace(instance, port=port).is_ready()

    if wait_until(is_ready, READY_SECONDS, pause=POLL_SECONDS):
        _say(f"ready at {read_env_file(instance.state)['BASE_URL']}")
        return 0
    raise ServiceError(f"it does not answer as ready; see {instance.state.logs}.")


def _explain_failure(state: StateDir, written_before: int, has_given_up: bool) -> None:
    """Print what the supervisor said last in this start; when it was still waiting, the web server's log tells more."""
    with state.log_file("supervisor").open() as log:
        log.seek(written_before)
        sys.stderr.writelines(log.readlines()[-LINES_OF_LOG:])
    if not has_given_up:
        sys.stderr.write(
            f"not ready in {READY_SECONDS:.0f} s; the end of {state.logs / 'web.log'}:\n{state.last_lines('web')}\n"
        )


def _size(state: StateDir) -> int:
    log = state.log_file("supervisor")
    return log.stat().st_size if log.exists() else 0


def _say(message: str) -> None:
    sys.stdout.write(_stamped(message))
    sys.stdout.flush()


def _stamped(message: str) -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ} {message}\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tradingdb.services",
        description="Run tradingdb with its own PostgreSQL and Valkey.",
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, action in (("up", up), ("down", down), ("run", run), ("status", status), ("exec", execute)):
        summary = (action.__doc__ or "").rstrip(".")
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(action=action)
        if action is run:
            command.add_argument("words", nargs="*", metavar="MODULE", help="after --: the demo to run beside it")
        if action is execute:
            command.add_argument("--durable", action="store_true", help="settings of a real instance, for measuring")
            command.add_argument("words", nargs="+", metavar="COMMAND", help="after --: what to run")
    return parser
