"""One running instance for each module."""

import logging
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.e2e.checks")

from tests.e2e.disk import may_mount  # noqa: E402
from tests.e2e.running import Running  # noqa: E402
from tradingdb.services.state import StateDir, free_port  # noqa: E402

# The summary says so (tests/conftest.py).
collect_ignore = [] if may_mount() else ["test_full_disk.py"]


@pytest.fixture(autouse=True, scope="module")
def quiet() -> None:
    """A line for each of thousands of requests would bury what a failing test has to say."""
    logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An instance that is up; every test leaves it up."""
    folder = tmp_path_factory.mktemp("instance")
    running = Running(StateDir(folder), free_port())
    try:
        assert f"ready at {running.base_url}" in running.services("up")
        yield running
    finally:
        running.services("down")


@pytest.fixture(scope="module")
def staff_token(instance: Running) -> str:
    return instance.staff("viewer")["token"]
