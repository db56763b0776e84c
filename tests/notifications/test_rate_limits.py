"""Rate limits: a token a message, begun minutes are not lost, and two at once never get the same token."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from notifications.choices import Priority
from notifications.models import RateLimit
from notifications.services.rate_limits import take_token
from tests.factories import NOON, ChannelConfigFactory, RateLimitFactory

SECOND = timedelta(seconds=1)


def take(seconds: float = 0, channel: str = "telegram", priority: Priority = Priority.NORMAL) -> bool:
    return take_token(user_id="chat", channel=channel, priority=priority, now=NOON + timedelta(seconds=seconds))


def bucket() -> tuple[int, Any]:
    row = RateLimit.objects.get()
    return row.tokens, row.last_refill - NOON


@pytest.mark.django_db
def test_first_message_makes_a_full_bucket_and_takes_one():
    assert take()

    row = RateLimit.objects.get()
    assert (row.tokens, row.max_tokens, row.refill_rate, row.last_refill) == (29, 30, 30, NOON)


@pytest.mark.django_db
@pytest.mark.parametrize(("channel", "limit"), [("telegram", 30), ("email", 10), ("sms", 5), ("slack", 60)])
def test_each_channel_has_its_limit(channel, limit):
    allowed = [take(channel=channel) for _ in range(limit + 2)]

    assert allowed == [True] * limit + [False, False]
    assert bucket() == (0, timedelta(0))


@pytest.mark.django_db
def test_a_configured_channel_has_the_limit_of_its_row():
    ChannelConfigFactory(channel="telegram", rate_limit_per_minute=2)

    assert [take() for _ in range(3)] == [True, True, False]


@pytest.mark.django_db
def test_begun_tokens_are_not_thrown_away():
    """A token comes back every 20 s here; asking every 15 s must not push the next one away."""
    RateLimitFactory(user_id="chat", tokens=0, max_tokens=3, refill_rate=3)

    allowed = [take(second) for second in (15, 30, 45, 60, 75, 90)]

    # Tokens come at 20, 40, 60 and 80.
    assert allowed == [False, True, True, True, False, True]
    assert bucket() == (0, 80 * SECOND)


@pytest.mark.django_db
def test_a_minute_is_not_waited_for():
    RateLimitFactory(user_id="chat", tokens=0, max_tokens=60, refill_rate=60)

    assert [take(second) for second in (0.9, 1, 1.5, 2)] == [False, True, False, True]


@pytest.mark.django_db
def test_a_bucket_is_never_more_than_full():
    RateLimitFactory(user_id="chat", tokens=1, max_tokens=3, refill_rate=3)

    assert [take(3600 * 24 * 3650) for _ in range(4)] == [True, True, True, False]


@pytest.mark.django_db
def test_a_bucket_that_was_made_smaller_holds_no_more_than_it_may():
    RateLimitFactory(user_id="chat", tokens=30, max_tokens=2, refill_rate=2)

    assert [take() for _ in range(3)] == [True, True, False]


@pytest.mark.django_db
def test_a_clock_that_is_behind_gives_and_takes_nothing():
    RateLimitFactory(user_id="chat", tokens=2, max_tokens=3, refill_rate=3, last_refill=NOON + 100 * SECOND)

    assert [take(), take(), take()] == [True, True, False]
    assert bucket() == (0, 100 * SECOND)


@pytest.mark.django_db
@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.CRITICAL])
def test_urgent_messages_pass_and_take_nothing(priority):
    RateLimitFactory(user_id="chat", tokens=0)

    assert take(priority=priority)
    assert bucket() == (0, timedelta(0))
    assert not take(priority=Priority.LOW)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_there", [True, False])
def test_tokens_are_given_out_once(is_there):
    if is_there:
        RateLimitFactory(user_id="chat", channel="sms", tokens=5, max_tokens=5, refill_rate=5)
    start = Barrier(12)

    def one(_: int) -> bool:
        try:
            start.wait(10)
            return take(channel="sms")
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        allowed = list(pool.map(one, range(12)))

    assert sum(allowed) == 5
    assert bucket() == (0, timedelta(0))
