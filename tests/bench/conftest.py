"""The benchmarks measure what the environment names; here that is the database of the tests."""

import os
from urllib.parse import urlsplit

import pytest
from django.db import connection


@pytest.fixture
def test_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead a benchmark, and the server it starts, to the database of the tests."""
    for name in ("DATABASE_URL", "BOT_DATABASE_URL"):
        if name in os.environ:
            path = f"/{connection.settings_dict['NAME']}"
            monkeypatch.setenv(name, urlsplit(os.environ[name])._replace(path=path).geturl())
