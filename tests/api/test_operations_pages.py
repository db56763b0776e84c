"""Health and metrics: what whoever watches the system asks."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_live_and_ready_name_each_dependency() -> None:
    client = Client()

    live, ready = client.get("/health/live"), client.get("/health/ready")

    assert live.json() == {"status": "ok"}
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"postgresql": "ok", "redis": "ok"}


def test_not_ready_without_redis(settings: pytest.FixtureRequest) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]

    ready = Client().get("/health/ready")

    assert (ready.status_code, ready.json()["checks"]["redis"]) == (503, "unreachable")


def test_metrics_are_open_metrics() -> None:
    answer = Client().get("/metrics")

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")
    assert b"tradingdb_call_seconds" in answer.content
