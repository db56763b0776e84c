"""The supervisor as a process of its own: start it, wait for it, stop it."""

import os
import signal
import sys
import traceback
from collections.abc import Callable

from tradingdb.services.errors import ServiceError
from tradingdb.services.instance import POLL_SECONDS, READY_SECONDS, Instance
from tradingdb.services.processes import ProcessId, wait_until
from tradingdb.services.state import Lock, StateDir

# The longest orderly stop: every child in turn takes all the time it is given.
STOP_SECONDS = 120.0


def start_supervisor(instance: Instance, lock: Lock, say: Callable[[str], None]) -> ProcessId:
    """Fork the supervisor and return it; it inherits the claim on the state folder."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return ProcessId.of(pid) or ProcessId(pid, 0)
    status = 1
    try:
        _leave_terminal(instance.state, lock)
        instance.state.write_pid("supervisor", os.getpid())
        instance.serve(say)
        status = 0
    except ServiceError as e:
        say(f"error: {e}")
    except BaseException:
        # Nothing above this frame may run in the fork; its log is the only place for the traceback.
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def await_ready(instance: Instance, supervisor: ProcessId) -> bool:
    """Whether the instance became ready; False as soon as its supervisor has given up."""
    wait_until(lambda: instance.is_ready() or not supervisor.is_alive(), READY_SECONDS, pause=POLL_SECONDS)
    return supervisor.is_alive() and instance.is_ready()


def stop_supervisor(supervisor: ProcessId) -> None:
    """Ask the supervisor to stop everything and wait for its end; kill it when it does not end."""
    supervisor.send(signal.SIGTERM)
    if not wait_until(lambda: not supervisor.is_alive(), STOP_SECONDS):
        supervisor.send(signal.SIGKILL)


def _leave_terminal(state: StateDir, lock: Lock) -> None:
    """Give up terminal and inherited files: whoever waits for the end of our caller's output must not wait for us."""
    os.setsid()
    log = os.open(state.log_file("supervisor"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, lock.descriptor)
    os.closerange(lock.descriptor + 1, os.sysconf("SC_OPEN_MAX"))
