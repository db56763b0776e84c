"""What runs beside the work of our processes: log lines become rows, the web's counts of calls go to Redis."""

import logging
from contextvars import Token
from typing import Any

from celery.signals import beat_init, task_postrun, task_prerun, worker_init

from audit.log_handler import SystemLogHandler
from audit.services.api_calls import CallReporter
from audit.services.redis_server import redis_client
from audit.trail.sealer import start_sealer
from tradingdb.lib.acting import Acting, begin, end


class WebBackground:
    """What one web process runs between its start and its end."""

    def __init__(self) -> None:
        self._handler = SystemLogHandler()
        self._reporter = CallReporter(redis_client())

    def start(self) -> None:
        """Begin to keep lines and to tell of calls."""
        logging.getLogger().addHandler(self._handler)
        self._reporter.start()

    def close(self) -> None:
        """Let both finish what they have."""
        self._reporter.close()
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()


def keep_logs(**sender: Any) -> None:
    """Keep the lines of a worker or beat; the worker's children inherit the handler."""
    logging.getLogger().addHandler(SystemLogHandler())


def seal_trail(**sender: Any) -> None:
    """Seal the audit trail beside beat, the process that is always there and has little to do."""
    start_sealer()


def name_job(task: Any, task_id: str, **sender: Any) -> None:
    """Let the audit trail name the job for what it changes."""
    _tokens[task_id] = begin(Acting(actor=f"job:{task.name}", request_id=task_id))


def forget_job(task_id: str, **sender: Any) -> None:
    """The job is over."""
    token = _tokens.pop(task_id, None)
    if token is not None:
        end(token)


_tokens: dict[str, Token[Acting | None]] = {}
task_prerun.connect(name_job)
task_postrun.connect(forget_job)
beat_init.connect(seal_trail)
worker_init.connect(keep_logs)
beat_init.connect(keep_logs)
