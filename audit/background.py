"""What runs beside the work of our processes: log lines become rows, the web's counts of calls go to Redis."""

import logging
from typing import Any

from celery.signals import beat_init, worker_init

from audit.log_handler import SystemLogHandler
from audit.services.api_calls import CallReporter
from audit.services.redis_server import redis_client


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


worker_init.connect(keep_logs)
beat_init.connect(keep_logs)
