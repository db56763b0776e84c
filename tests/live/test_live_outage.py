"""Redis goes and comes back: the browser is told, and what was lost is shown anew."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from bots.live import client, keys, publish
from tests.factories import PositionFactory
from tests.live.live_browser import wait_for
from tests.live.live_rows import price
from tradingdb.services.binaries import find_redis


class OwnRedis:
    """A Redis of the test's own, which it may kill."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = find_redis(os.environ)
        command = [
            str(program),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.answers)

    def answers(self) -> bool:
        try:
            return bool(Redis(port=self.port).ping())
        except RedisError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def own_redis(settings: Any, tmp_path: Path) -> Iterator[OwnRedis]:
    redis = OwnRedis(tmp_path)
    redis.start()
    there, settings.REDIS_URL = settings.REDIS_URL, redis.url
    caches = (client.sync_client, publish._script)
    for cache in caches:
        cache.cache_clear()
    yield redis
    redis.kill()
    settings.REDIS_URL = there
    for cache in caches:
        cache.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_redis_killed_and_started_empty(own_redis: OwnRedis, browse: Any, quick: None) -> None:
    held = PositionFactory()
    browser = browse()
    assert browser.receive()["sources"] == {"postgres": True, "redis": True}

    own_redis.kill()
    browser.follow(lambda: browser.seen[-1].get("sources") == {"postgres": True, "redis": False})
    # Nothing can be published, and nobody fails; PostgreSQL alone tells the browser.
    publish.publish([price("150")])
    later = PositionFactory()
    browser.follow(lambda: later.position_id in browser.positions)

    own_redis.start()
    snapshot = browser.until("snapshot", timeout=10)

    assert snapshot["sources"] == {"postgres": True, "redis": True}
    assert set(browser.positions) == {held.position_id, later.position_id}
    wait_for(lambda: client.sync_client().exists(keys.built()))
    assert set(client.sync_client().hgetall(keys.positions())) == {
        held.position_id.encode(), later.position_id.encode(),
    }  # fmt: skip
    wait_for(publish.outage.is_over)
    publish.publish([price("160")])
    browser.follow(lambda: browser.positions[held.position_id]["current_price"] == "160")
