"""Codes by which people prove that an account elsewhere is theirs: few, short-lived, used once, never kept in clear."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import time_machine
from django.db import connection, transaction

from accounts.models import VerificationCode
from accounts.services.verification import issue_code, verify_code
from audit.models import UserAction
from audit.services.actions import SYSTEM
from tests.factories import NOON, UserFactory
from tradingdb.lib.errors import NotFound, RateLimited

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def user(db):
    return UserFactory()


def issue(user, provider="telegram"):
    return issue_code(user_id=user.pk, provider=provider, actor=SYSTEM).code


def verify(user, code, provider="telegram"):
    return verify_code(user_id=user.pk, provider=provider, code=code, actor=SYSTEM)


def wrong(code):
    return f"{(int(code) + 1) % 10**6:06}"


def test_a_code_is_six_digits_and_good_once(user):
    code = issue(user)

    assert len(code) == 6
    assert code.isdecimal()
    assert verify(user, code) is True
    assert VerificationCode.objects.get().used_at is not None
    assert verify(user, code) is False


def test_a_code_is_kept_nowhere(user):
    made = issue_code(user_id=user.pk, provider="telegram", actor=SYSTEM)
    verify(user, wrong(made.code))
    verify(user, made.code)

    kept = [*VerificationCode.objects.values(), *UserAction.objects.values()]
    assert made.code not in str([{name: value for name, value in row.items() if "_at" not in name} for row in kept])
    assert bytes(made.row.digest) != made.code.encode()
    assert made.code not in repr(made)
    assert [row.action for row in UserAction.objects.order_by("id")] == [
        "verification.issue", "verification.failed", "verification.confirm",
    ]  # fmt: skip


def test_equal_codes_of_two_people_are_kept_unlike(user, monkeypatch):
    monkeypatch.setattr("accounts.services.verification.secrets.randbelow", lambda _: 7)

    assert issue(user) == issue(UserFactory()) == issue(user, "email") == "000007"
    assert len({bytes(row.digest) for row in VerificationCode.objects.all()}) == 3


@pytest.mark.parametrize(("after", "is_good"), [(0, True), (3599, True), (3600, False), (-1, False)])
def test_a_code_is_good_for_an_hour(user, clock, after, is_good):
    code = issue(user)
    clock.move_to(NOON + after * SECOND)

    assert verify(user, code) is is_good


def test_a_new_code_takes_the_place_of_the_old_one(user, clock):
    old = issue(user)
    clock.shift(1)
    new = issue(user)

    assert old != new
    assert verify(user, old) is False
    assert verify(user, new) is True


def test_five_wrong_answers_end_a_code(user):
    code = issue(user)

    assert [verify(user, wrong(code)) for _ in range(7)] == [False] * 7
    assert verify(user, code) is False
    assert VerificationCode.objects.get().attempts == 5


def test_four_wrong_answers_do_not(user):
    code = issue(user)
    for _ in range(4):
        verify(user, wrong(code))

    assert verify(user, code) is True


@pytest.mark.parametrize("given", ["", "12345", "1234567", " 123456", "١٢٣٤٥٦", "12345\ud800", "123456\n"])
def test_what_is_no_code_counts_as_a_wrong_answer(user, given):
    issue(user)

    assert verify(user, given) is False
    assert VerificationCode.objects.get().attempts == 1


def test_a_code_is_its_persons_and_its_providers(user):
    code = issue(user)
    other = UserFactory()

    assert verify(other, code) is False
    assert verify(user, code, "email") is False
    assert verify(user, code) is True


def test_somebody_switched_off_or_unknown_gets_and_proves_nothing(user):
    code = issue(user)
    user.is_active = False
    user.save()

    assert verify(user, code) is False
    assert verify_code(user_id=0, provider="telegram", code=code, actor=SYSTEM) is False
    for pk in (user.pk, 0):
        with pytest.raises(NotFound):
            issue_code(user_id=pk, provider="telegram", actor=SYSTEM)
    assert VerificationCode.objects.count() == 1


def test_five_codes_an_hour_whatever_the_provider(user, clock):
    for number in range(5):
        issue(user, "email" if number % 2 else "telegram")
        clock.shift(60)
    with pytest.raises(RateLimited) as caught:
        issue(user)

    # The first one leaves the hour 55 minutes from now.
    assert caught.value.retry_after == 3301
    assert VerificationCode.objects.count() == 5
    issue(UserFactory())

    clock.move_to(NOON + timedelta(hours=1))
    assert verify(user, issue(user)) is True


@pytest.mark.django_db(transaction=True)
def test_an_attempt_counts_even_if_the_caller_fails_afterwards():
    """Inside a transaction that could be taken back, a code could be guessed without end."""
    user = UserFactory()
    code = issue(user)

    with pytest.raises(RuntimeError), transaction.atomic():
        verify(user, code)
    assert verify(user, wrong(code)) is False

    assert VerificationCode.objects.get().attempts == 1


def at_once(number, call):
    """Run a call in several threads that start together; return what each gave."""
    barrier = Barrier(number)

    def run(_):
        barrier.wait()
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


@pytest.mark.django_db(transaction=True)
def test_of_two_right_answers_at_once_one_counts():
    user = UserFactory()
    for _ in range(5):
        code = issue(user)
        assert sorted(at_once(4, lambda code=code: verify(user, code))) == [False, False, False, True]


@pytest.mark.django_db(transaction=True)
def test_wrong_answers_at_once_are_counted_each():
    user = UserFactory()
    code = issue(user)

    at_once(4, lambda: verify(user, wrong(code)))

    assert VerificationCode.objects.get().attempts == 4


@pytest.mark.django_db(transaction=True)
def test_codes_asked_for_at_once_are_no_more_than_five():
    user = UserFactory()

    def ask():
        try:
            return issue(user)
        except RateLimited:
            return None

    assert len([code for code in at_once(8, ask) if code is not None]) == 5
    assert VerificationCode.objects.count() == 5
