"""How the parts of the house are: the rule of one row, staleness, one word for all, the checks themselves."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from audit.models import SystemHealth
from audit.services.health import Check, health_overall, health_record, moving_mean, overall, status_at
from audit.services.health_checks import check_api_service, check_redis, check_web_ui, health_check
from audit.tasks import check_health
from tests.audit.trail_tools import give_key, sealed
from tests.factories import NOON, BotFactory, SystemHealthFactory, UserFactory

GOOD = Check("notification", "email", response_ms=100)
BAD = Check("notification", "email", error="it broke")
NOWHERE = "http://127.0.0.1:1"


def at(minute):
    return NOON + timedelta(minutes=minute)


def row():
    [found] = SystemHealth.objects.all()
    return found


@pytest.mark.django_db
def test_failures_in_a_row_are_counted_and_a_success_ends_the_count():
    for minute, check in enumerate([GOOD, BAD, BAD]):
        health_record(check=check, now=at(minute))
    bad = row()
    assert (bad.status, bad.failure_count, bad.error_message) == ("DOWN", 2, "it broke")
    assert (bad.last_success, bad.last_failure, bad.checked_at) == (at(0), at(2), at(2))

    health_record(check=GOOD, now=at(3))

    good = row()
    assert (good.status, good.failure_count, good.error_message) == ("HEALTHY", 0, None)
    assert (good.last_success, good.last_failure) == (at(3), at(2))


@pytest.mark.django_db
def test_the_mean_moves_by_three_tenths_and_failures_do_not_move_it():
    for minute, time in enumerate([100, 200, 0]):
        health_record(check=Check("database", response_ms=time), now=at(minute))
    assert row().avg_response_time_ms == 91

    health_record(check=Check("database", error="away"), now=at(3))
    health_record(check=Check("database"), now=at(4))

    assert row().avg_response_time_ms == 91


@pytest.mark.parametrize(("old", "new", "mean"), [(None, None, None), (None, 5, 5), (5, None, 5), (100, 200, 130)])
def test_moving_mean(old, new, mean):
    assert moving_mean(old, new) == mean


@pytest.mark.parametrize(("time", "status"), [(None, "HEALTHY"), (1000, "HEALTHY"), (1001, "DEGRADED")])
def test_a_slow_success_is_a_degraded_one(time, status):
    assert Check("redis", response_ms=time).status == status


@pytest.mark.django_db
def test_an_older_check_changes_nothing():
    health_record(check=GOOD, now=at(5))

    health_record(check=BAD, now=at(4))

    assert (row().status, row().failure_count, row().checked_at) == ("HEALTHY", 0, at(5))


@pytest.mark.django_db
def test_secrets_are_blotted_out_of_errors_and_long_ones_are_cut():
    token = "tdb_live_abcdefghijkl." + "x" * 43
    health_record(check=Check("redis", error=f"{token} redis://u:hunter2@host " + "x" * 1000), now=NOON)

    assert row().error_message.startswith("tdb_live_abcdefghijkl.*** redis://u:***@host x")
    assert len(row().error_message) == 500


@pytest.mark.parametrize(("minutes", "status"), [(0, "HEALTHY"), (5, "HEALTHY"), (5.01, "UNKNOWN")])
def test_a_check_is_worth_five_minutes(minutes, status):
    assert status_at(SystemHealth(status="HEALTHY", checked_at=NOON), at(minutes)) == status


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ([], "UNKNOWN"),
        (["HEALTHY", "HEALTHY"], "HEALTHY"),
        (["HEALTHY", "UNKNOWN"], "UNKNOWN"),
        (["HEALTHY", "UNKNOWN", "DEGRADED"], "DEGRADED"),
        (["UNKNOWN", "DEGRADED", "DOWN"], "DOWN"),
    ],
)
def test_one_word_for_all(statuses, word):
    assert overall(statuses) == word


@pytest.mark.django_db
def test_the_house_is_unknown_when_nobody_looks_any_more():
    SystemHealthFactory()
    SystemHealthFactory(status="DOWN", checked_at=at(-10))
    assert health_overall(at(0)) == "UNKNOWN"

    SystemHealthFactory(status="DEGRADED", checked_at=at(0))

    assert health_overall(at(0)) == "DEGRADED"


@pytest.mark.django_db(transaction=True)
def test_checks_at_the_same_moment_are_counted_each():
    def fail(number):
        try:
            return health_record(check=BAD, now=NOON).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        pks = set(pool.map(fail, range(12)))

    assert len(pks) == 1
    assert row().failure_count == 12


def test_redis_answers_or_does_not(settings):
    assert check_redis().status == "HEALTHY"

    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    assert check_redis().status == "DOWN"
    assert "127.0.0.1:1" in check_redis().error


@pytest.mark.django_db(transaction=True)
def test_the_web_server_is_asked_under_its_address(live_server, settings):
    settings.BASE_URL = live_server.url

    assert (check_api_service().status, check_web_ui().status) == ("HEALTHY", "HEALTHY")


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_not_ready_is_down(live_server, settings):
    settings.BASE_URL = live_server.url
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    assert check_api_service().error == "GET /health/ready: status 503"


@pytest.mark.django_db
def test_one_look_at_all_stores_what_is_down_beside_what_is_well(settings, tmp_path):
    settings.BASE_URL = NOWHERE
    BotFactory()
    # Whatever tests before this one left unsealed is sealed too.
    sealed(give_key(settings, tmp_path))

    found = health_check(now=NOON)

    well = {"database": "HEALTHY", "redis": "HEALTHY", "database audit seals": "HEALTHY"}
    assert found == {**well, "api_service": "DOWN", "web_ui": "DOWN"}
    stored = {str(row): row.status for row in SystemHealth.objects.all()}
    assert stored == found
    assert "GET /health/ready" in SystemHealth.objects.get(system="api_service").error_message


@pytest.mark.django_db
def test_the_job_says_that_the_scheduler_sends(settings):
    settings.BASE_URL = NOWHERE

    assert check_health()["scheduler"] == "HEALTHY"
    assert SystemHealth.objects.get(system="scheduler").last_success is not None


@pytest.mark.django_db
def test_the_page_says_how_the_house_is(client):
    client.force_login(UserFactory())
    SystemHealthFactory(status="DEGRADED")

    page = client.get("/admin/audit/systemhealth/").content.decode()

    # Noon of the day before is longer ago than five minutes.
    assert "System health: UNKNOWN" in page
    assert "unknown for" in page
