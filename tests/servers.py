"""Pytest plugin: real PostgreSQL and Valkey for the whole run, started before Django reads its settings.

Servers that DATABASE_URL and REDIS_URL name are used instead. The workers of pytest-xdist inherit the variables
and so start nothing. A missing server program ends the run: no test is ever skipped for it.
"""

import atexit
import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tradingdb.lib.keyring import new_keyring, store
from tradingdb.services.errors import ServiceError
from tradingdb.services.throwaway import throwaway_servers

_servers = ExitStack()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None, None, None]:
    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        try:
            variables = _servers.enter_context(throwaway_servers(os.environ))
        except ServiceError as e:
            raise pytest.UsageError(str(e)) from e
        os.environ.update(variables)
        # pytest ends without pytest_unconfigure when its own start fails.
        atexit.register(_servers.close)
    if not os.environ.get("FIELD_KEY_FILE"):
        # Servers that were there already bring no keys; these are of this run alone.
        folder = Path(_servers.enter_context(TemporaryDirectory(prefix="tradingdb-keys-")))
        atexit.register(_servers.close)
        store(folder / "field_keys", new_keyring())
        os.environ["FIELD_KEY_FILE"] = str(folder / "field_keys")
    yield


def pytest_unconfigure() -> None:
    _servers.close()
