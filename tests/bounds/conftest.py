"""Redis keys of each test's own, and the invariants where a ledger was written."""

import logging
from collections.abc import Iterator
from uuid import uuid4

import pytest

from audit.services.redis_server import redis_client
from tests.ledger_checks import ledger_holds

__all__ = ["ledger_holds"]


@pytest.fixture(autouse=True)
def no_line_a_request() -> None:
    """A storm of requests is told by its counts."""
    logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture
def prefix() -> Iterator[str]:
    """Redis keys of one test."""
    prefix = f"test-{uuid4().hex}:"
    yield prefix
    with redis_client() as client:
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)
