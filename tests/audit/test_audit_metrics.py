"""Readings of the machine, and the hot calls of all web processes by the minute."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from redis.exceptions import RedisError

from audit.models import SystemMetric
from audit.services.api_calls import CallReporter, Calls, calls_in, counted
from audit.services.redis_server import redis_client
from audit.services.system_metrics import existing, system_metric_record
from audit.tasks import record_system_metrics
from tests.factories import NOON
from tradingdb.lib import telemetry

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def own_keys(settings):
    """Give each test Redis keys of its own."""
    settings.REDIS_PREFIX = f"test-{uuid4().hex}:"
    yield
    with redis_client() as client:
        for key in client.scan_iter(f"{settings.REDIS_PREFIX}*"):
            client.delete(key)


@pytest.fixture
def reporter():
    """The reporter of a process whose calls so far are told."""
    client = redis_client()
    made = CallReporter(client)
    made.report(NOON - timedelta(days=1))
    yield made
    client.close()


def answer(status, times=1):
    telemetry.CALLS.labels("/fills", str(status)).inc(times)


@pytest.mark.django_db
def test_a_reading_is_of_this_machine():
    assert system_metric_record(now=NOON + 31 * SECOND) is True

    row = SystemMetric.objects.get()
    network = psutil.net_io_counters()
    assert row.timestamp == NOON
    assert row.memory_usage > 0
    assert row.disk_usage > 0
    assert 0 <= row.network_received_bytes <= network.bytes_recv
    assert row.execution_latency >= 1
    assert (row.api_request_count, row.api_error_count) == (None, None)


@pytest.mark.django_db
def test_a_minute_has_one_reading():
    first = [system_metric_record(now=NOON), SystemMetric.objects.get().created_at]

    again = [system_metric_record(now=NOON + 59 * SECOND), SystemMetric.objects.get().created_at]

    assert first[0] is True
    assert again == [False, first[1]]
    assert system_metric_record(now=NOON + 60 * SECOND) is True


@pytest.mark.django_db
def test_the_job_keeps_a_reading():
    assert record_system_metrics() is True
    assert SystemMetric.objects.count() == 1


def test_a_folder_that_is_not_there_lies_on_the_disk_of_the_one_above(tmp_path):
    assert existing(tmp_path / "no" / "such") == tmp_path
    assert existing(Path("/")) == Path("/")


@pytest.mark.django_db
def test_calls_count_in_the_minute_before(reporter):
    answer(200, 3)
    answer(404)
    answer(503, 2)
    reporter.report(NOON - SECOND)
    answer(200, 100)
    reporter.report(NOON)

    system_metric_record(now=NOON)

    row = SystemMetric.objects.get()
    assert (row.api_request_count, row.api_error_count) == (6, 2)


def test_processes_add_up_and_each_call_is_told_once(reporter):
    with redis_client() as client:
        other = CallReporter(client)
        other.report(NOON - timedelta(days=1))
        answer(200, 5)
        for each in (reporter, other, reporter, other):
            each.report(NOON)

    assert calls_in(NOON) == Calls(10, 0)


def test_a_quiet_minute_is_zero_and_one_without_a_teller_unknown(reporter):
    reporter.report(NOON)

    assert calls_in(NOON) == Calls(0, 0)
    assert calls_in(NOON + timedelta(minutes=1)) is None


def test_without_redis_the_count_waits_and_the_reading_is_unknown(reporter, settings):
    answer(200, 7)
    settings.REDIS_URL, there = "redis://127.0.0.1:1/0", settings.REDIS_URL
    away = CallReporter(redis_client())
    away._told = Calls(counted().requests - 7, counted().errors)
    with pytest.raises(RedisError):
        away.report(NOON)
    assert calls_in(NOON) is None

    settings.REDIS_URL = there
    with redis_client() as client:
        away._client = client
        away.report(NOON)

    assert calls_in(NOON) == Calls(7, 0)


def test_a_web_process_tells_the_rest_when_it_ends(settings):
    made = CallReporter(redis_client())
    made.start()
    answer(200)
    made.close()

    with redis_client() as client:
        [key] = client.scan_iter(f"{settings.REDIS_PREFIX}calls:*")
        assert int(client.hget(key, "requests")) == counted().requests
        assert 0 < client.ttl(key) <= 3600
