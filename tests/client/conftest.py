"""Fixtures of the client's tests; `connect` runs a test once with each kind of client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from outside_world import Connect, Server


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, server: Server) -> Iterator[Connect]:
    connect = Connect(request.param, server)
    yield connect
    connect.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The spool of the test's bot."""
    return tmp_path / "bot.spool"


@pytest.fixture
def client(connect: Connect, path: Path) -> Any:
    """A client with a spool that tries once."""
    return connect(spool=path, retries=0)
