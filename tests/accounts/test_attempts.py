"""Guessing is slowed down, and the admin is never shut out by somebody else's guesses."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.services import attempts
from accounts.services.attempts import NETWORK, PAIR, PERSON, Attempt, network_of
from audit.models import UserAction
from tests.accounts.conftest import enrol, is_in, sign_in
from tests.factories import PASSWORD, UserFactory
from tradingdb.lib.buckets import LocalBuckets
from tradingdb.lib.errors import RateLimited

pytestmark = pytest.mark.django_db
ATTACKER, HOME = "203.0.113.66", "198.51.100.7"


def guess(address: str, count: int, email: str = "admin@example.com") -> list[int]:
    """Send wrong passwords from an address; return the answers' statuses."""
    client = Client(REMOTE_ADDR=address)
    return [sign_in(client, email, f"wrong {number}").status_code for number in range(count)]


def test_200_wrong_passwords_from_one_address_do_not_stop_the_admin_from_another():
    UserFactory(email="admin@example.com")

    statuses = guess(ATTACKER, 200)

    assert statuses[: PAIR.burst] == [200] * PAIR.burst
    assert statuses.count(429) >= 200 - PAIR.burst - 2
    browser = Client(REMOTE_ADDR=HOME)
    sign_in(browser, "admin@example.com")
    assert is_in(browser)


def test_the_right_password_waits_as_well_where_guesses_came_from():
    UserFactory(email="admin@example.com")
    guess(ATTACKER, PAIR.burst)

    answer = sign_in(Client(REMOTE_ADDR="203.0.113.5"), "admin@example.com")

    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= PAIR.refill_ms // 1000
    assert b"Too many attempts" in answer.content


def test_somebody_who_does_not_exist_is_slowed_down_alike():
    assert guess(ATTACKER, PAIR.burst + 1, "nobody@example.com")[-2:] == [200, 429]


def test_from_many_networks_guessing_is_bounded_and_the_admins_own_network_is_not():
    UserFactory(email="admin@example.com")
    sign_in(Client(REMOTE_ADDR=HOME), "admin@example.com")

    refused = 0
    for third in range(PERSON.burst // PAIR.burst + 2):
        refused += guess(f"10.1.{third}.9", PAIR.burst).count(429)

    assert refused >= PAIR.burst
    strange = Client(REMOTE_ADDR="192.0.2.1")
    assert sign_in(strange, "admin@example.com").status_code == 429
    # A browser of the same /24 as a good sign-in of the last thirty days.
    known = Client(REMOTE_ADDR="198.51.100.200")
    sign_in(known, "admin@example.com")
    assert is_in(known)


def test_a_network_that_guesses_at_many_people_is_bounded():
    statuses = [guess(ATTACKER, 1, f"person{number}@example.com")[0] for number in range(NETWORK.burst + 10)]

    assert statuses.count(200) <= NETWORK.burst + 2


def test_codes_and_confirmations_are_counted_too(client):
    user = UserFactory(email="me@example.com")
    enrol(user)
    sign_in(client, "me@example.com")
    codes = [client.post(reverse("mfa_authenticate"), {"code": f"{number:06}"}).status_code for number in range(12)]
    assert codes[-1] == 429

    other = Client()
    other.force_login(UserFactory(email="you@example.com"))
    answers = [
        other.post("/api/v1/auth/confirm", {"password": "wrong"}, content_type="application/json") for _ in range(12)
    ]
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "rate_limited")
    assert int(answers[-1]["Retry-After"]) > 0
    assert other.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 429


def test_without_redis_the_process_counts(settings, monkeypatch):
    UserFactory(email="admin@example.com")
    monkeypatch.setattr(attempts, "get_redis_connection", away)

    assert guess(ATTACKER, 30)[-1] == 429
    browser = Client(REMOTE_ADDR=HOME)
    sign_in(browser, "admin@example.com")
    assert is_in(browser)


def away(name: str) -> None:
    from redis.exceptions import ConnectionError as Away

    raise Away("nobody answers")


def test_local_and_shared_buckets_admit_the_same():
    keys = [PAIR.charge("test")]
    local = LocalBuckets()

    assert [local.take(keys) > 0 for _ in range(PAIR.burst + 1)] == [False] * PAIR.burst + [True]
    shared = [attempts._take([PAIR.charge("attempts-test")]) > 0 for _ in range(PAIR.burst + 1)]
    attempts._clear([PAIR.charge("attempts-test")])
    assert shared == [False] * PAIR.burst + [True]


def test_a_good_login_empties_the_bucket():
    for _ in range(3 * PAIR.burst):
        attempt = Attempt("me@example.com", None)
        attempt.take()
        attempt.succeeded()
    for _ in range(PAIR.burst):
        Attempt("me@example.com", None).take()
    with pytest.raises(RateLimited):
        Attempt("me@example.com", None).take()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.0/24"),
        (None, "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_a_network_is_what_one_household_or_office_has(address, network):
    assert network_of(address) == network


def test_refused_attempts_leave_no_row_each():
    UserFactory(email="admin@example.com")

    guess(ATTACKER, 50)

    assert UserAction.objects.filter(action="login.failed").count() <= PAIR.burst + 1
