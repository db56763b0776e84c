"""Logs, load, health and counts of calls as they come from real processes: web server, worker and its children."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from celery import current_app
from django.conf import settings

from audit.models import SystemHealth, SystemLog, SystemMetric
from audit.services.redis_server import redis_client
from tests.jobs.celery_processes import environment, eventually, worker
from tradingdb.services.state import free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def prefix() -> Iterator[str]:
    """Redis keys of one test."""
    prefix = f"test-{uuid4().hex}:"
    yield prefix
    with redis_client() as client:
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)


def send(name: str, prefix: str, **arguments: Any) -> None:
    """Put a job on the queue of the test's worker."""
    options = {**current_app.conf.broker_transport_options, "global_keyprefix": f"{prefix}celery:"}
    with current_app.connection_for_write(transport_options=options) as broker:
        current_app.send_task(name, kwargs=arguments, connection=broker)


def test_a_worker_reads_its_machine_and_looks_at_the_house(tmp_path: Path, prefix: str) -> None:
    with worker(tmp_path, prefix=prefix):
        send("audit.tasks.record_system_metrics", prefix)
        send("audit.tasks.check_health", prefix)
        eventually(lambda: SystemMetric.objects.exists() and SystemHealth.objects.count() == 6)

    known = dict(
        SystemHealth.objects.filter(system__in=["database", "redis", "scheduler"]).values_list("system", "status")
    )
    assert known == {"database": "HEALTHY", "redis": "HEALTHY", "scheduler": "HEALTHY"}


def test_what_a_worker_and_its_children_complain_of_becomes_rows(tmp_path: Path, prefix: str) -> None:
    def is_kept(text: str) -> bool:
        return SystemLog.objects.filter(level="ERROR", message__contains=text).exists()

    with worker(tmp_path, prefix=prefix):
        send("analytics.tasks.take_portfolio_snapshot", prefix, slot="no time at all")
        eventually(lambda: is_kept("take_portfolio_snapshot"))
        send("audit.tasks.no_such_job", prefix)
        eventually(lambda: is_kept("no_such_job"))

    failed = SystemLog.objects.get(message__contains="take_portfolio_snapshot")
    assert "no time at all" in failed.details["traceback"]
    assert "ForkPoolWorker" in failed.details["process"]
    assert "MainProcess" in SystemLog.objects.get(message__contains="no_such_job").details["process"]


def test_a_web_process_keeps_its_warnings_and_tells_of_its_calls(tmp_path: Path, prefix: str) -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tradingdb.asgi:application", "--port", str(port)]
    base, log = f"http://127.0.0.1:{port}", tmp_path / "web.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment(prefix), stdout=file, stderr=file, cwd=settings.BASE_DIR)
    try:
        eventually(lambda: answers(f"{base}/health/live"), log.read_text)
        stranger = {"Authorization": f"Bearer tdb_live_{'a' * 12}.{'b' * 43}"}
        refused = httpx.post(f"{base}/api/v1/fills", json={}, headers=stranger)
        missing = httpx.get(f"{base}/nothing-here")
        assert (refused.status_code, missing.status_code) == (401, 404)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)

    assert SystemLog.objects.get(message="Not Found: /nothing-here").component == "django.request"
    with redis_client() as client:
        keys = list(client.scan_iter(f"{prefix}calls:*"))
        told = [client.hmget(key, ["requests", "errors"]) for key in keys]
    assert (sum(int(requests) for requests, _ in told), sum(int(errors) for _, errors in told)) == (1, 0)


def answers(url: str) -> bool:
    """Whether somebody is there."""
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False
