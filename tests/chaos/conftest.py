"""One served application for each test."""

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.served import served


@pytest.fixture
def server_port(transactional_db: None, settings: Any) -> Iterator[int]:
    """The port of the real application, which counts no calls of earlier tests and limits none."""
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"
    settings.RATE_LIMIT_FACTS_PER_MINUTE = settings.RATE_LIMIT_COMMANDS_PER_MINUTE = 10**6
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with served() as port:
        yield port
