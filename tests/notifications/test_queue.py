"""The queue: nothing is claimed twice, nothing goes round for ever, nothing is sent twice by us."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from audit.models import UserAction
from audit.services.actions import Actor
from notifications.choices import DeliveryState, Priority
from notifications.models import DeliveryStatus, Message
from notifications.services.queue import (
    NewMessage,
    Outcome,
    channels_left,
    claim,
    enqueue,
    message_cancel,
    messages_remove_old,
    record_delivery,
)
from notifications.tasks import remove_old_messages
from tests.factories import NOON, ChannelConfigFactory, DeliveryStatusFactory, MessageFactory, UserFactory
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
SENT = Outcome("telegram", DeliveryState.SENT, response_time_ms=120, external_id="77")
FAILED = Outcome("telegram", DeliveryState.FAILED, error_message="no answer")


def at_once(work: Callable[[int], Any], *, times: int) -> list[Any]:
    """Do the same in several threads, each on a connection of its own, and return what came of it."""
    start = Barrier(times)

    def one(number: int) -> Any:
        try:
            start.wait(10)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def attempt(message: Message, *outcomes: Outcome, at: Any = NOON) -> Message:
    """Claim a message and say what became of it."""
    assert [each.pk for each in claim(worker_id="w", now=at)] == [message.pk]
    record_delivery(message_id=message.pk, worker_id="w", outcomes=outcomes, now=at)
    message.refresh_from_db()
    return message


@pytest.mark.django_db
def test_message_is_queued_for_its_channels_once_each():
    ChannelConfigFactory(channel="telegram")
    ChannelConfigFactory(channel="email")
    new = NewMessage("alert", "chat_1", ["telegram", "email", "telegram"], {"text": "x"}, Priority.HIGH, NOON, 5)

    message = enqueue(new=new)

    message.refresh_from_db()
    assert (message.channels, message.recipient_id, message.priority) == (["telegram", "email"], "chat_1", "high")
    assert (message.status, message.scheduled_for, message.max_retries) == ("pending", NOON, 5)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("recipient", "channels", "words"),
    [
        ("", ["telegram"], "needs a recipient"),
        ("  ", ["telegram"], "needs a recipient"),
        ("chat_1", [], "none named"),
        ("chat_1", ["telegram", "fax"], "not in use: fax"),
        ("chat_1", ["email"], "not in use: email"),
    ],
)
def test_message_that_could_only_fail_is_not_queued(recipient, channels, words):
    ChannelConfigFactory(channel="telegram")
    ChannelConfigFactory(channel="email", enabled=False)

    with pytest.raises(ValidationFailed, match=words):
        enqueue(new=NewMessage("alert", recipient, channels, {}))

    assert not Message.objects.exists()


@pytest.mark.django_db
def test_critical_ones_come_first_then_by_time():
    times = {"low": 4, "normal": 3, "high": 2, "critical": 1}
    made = {
        (priority, age): MessageFactory(priority=priority, scheduled_for=NOON - age * MINUTE)
        for priority in times
        for age in (times[priority], times[priority] + 5)
    }
    MessageFactory(priority="critical", scheduled_for=NOON + SECOND)

    claimed = claim(worker_id="w", now=NOON)

    order = [("critical", 6), ("critical", 1), ("high", 7), ("high", 2), ("normal", 8), ("normal", 3)]
    assert [message.pk for message in claimed] == [made[each].pk for each in [*order, ("low", 9), ("low", 4)]]


@pytest.mark.django_db
def test_claim_takes_ten_and_locks_them():
    for _ in range(12):
        MessageFactory()

    first, second, third = (claim(worker_id=name, now=NOON) for name in ("a", "b", "c"))

    assert (len(first), len(second), len(third)) == (10, 2, 0)
    rows = Message.objects.filter(pk__in=[message.pk for message in first])
    assert set(rows.values_list("status", "locked_by", "locked_at")) == {("processing", "a", NOON)}


@pytest.mark.django_db(transaction=True)
def test_nothing_is_claimed_twice():
    for _ in range(25):
        MessageFactory()

    claimed = at_once(lambda n: [message.pk for message in claim(worker_id=f"w{n}", now=NOON)], times=8)

    ids = [pk for part in claimed for pk in part]
    assert len(ids) == len(set(ids))
    assert len(ids) == Message.objects.filter(status="processing").count()
    for number, part in enumerate(claimed):
        assert set(Message.objects.filter(pk__in=part).values_list("locked_by", flat=True)) <= {f"w{number}"}


@pytest.mark.django_db
def test_delivered_once_every_channel_has_taken_it():
    message = MessageFactory(channels=["telegram", "email"])

    after_one = attempt(message, SENT, Outcome("email", DeliveryState.BOUNCED, error_message="no such box"))
    assert (after_one.status, after_one.retry_count, channels_left(message)) == ("pending", 1, ["email"])
    assert after_one.last_error == "email: no such box"

    delivered = attempt(message, Outcome("email", DeliveryState.DELIVERED), at=NOON + MINUTE)
    assert (delivered.status, delivered.processed_at, delivered.locked_by) == ("delivered", NOON + MINUTE, None)
    assert list(DeliveryStatus.objects.order_by("id").values_list("channel", "status", "delivered_at")) == [
        ("telegram", "sent", None), ("email", "bounced", None), ("email", "delivered", NOON + MINUTE),
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_message_that_fails_waits_longer_each_time_and_ends():
    message, at, pauses = MessageFactory(max_retries=7), NOON, []
    for _ in range(7):
        attempt(message, FAILED, at=at)
        assert message.status == "pending"
        pauses.append((message.scheduled_for - at) // MINUTE)
        assert claim(worker_id="w", now=message.scheduled_for - SECOND) == []
        at = message.scheduled_for
    attempt(message, FAILED, at=at)

    assert pauses == [1, 2, 4, 8, 16, 32, 32]
    assert (message.status, message.retry_count, message.processed_at) == ("failed", 7, at)
    assert claim(worker_id="w", now=at + DAY) == []
    assert DeliveryStatus.objects.count() == 8


@pytest.mark.django_db
def test_a_message_without_retries_fails_at_once():
    assert attempt(MessageFactory(max_retries=0), FAILED).status == "failed"


@pytest.mark.django_db
def test_an_attempt_nobody_reports_of_counts_as_failed():
    message = MessageFactory(max_retries=1)
    claim(worker_id="first", now=NOON)
    assert claim(worker_id="second", now=NOON + 5 * MINUTE) == []

    claim(worker_id="second", now=NOON + 5 * MINUTE + SECOND)
    message.refresh_from_db()
    assert (message.status, message.retry_count, message.last_error) == ("pending", 1, "first fell silent.")

    later = NOON + 10 * MINUTE
    assert [each.pk for each in claim(worker_id="second", now=later)] == [message.pk]
    claim(worker_id="third", now=later + 6 * MINUTE)
    message.refresh_from_db()
    assert (message.status, message.locked_by, message.locked_at) == ("failed", None, None)


@pytest.mark.django_db
def test_who_lost_the_lock_reports_nothing():
    message = MessageFactory()
    claim(worker_id="first", now=NOON)

    for worker in ("second", ""):
        with pytest.raises(Conflict):
            record_delivery(message_id=message.pk, worker_id=worker, outcomes=[SENT], now=NOON)
    record_delivery(message_id=message.pk, worker_id="first", outcomes=[SENT], now=NOON)
    with pytest.raises(Conflict):
        record_delivery(message_id=message.pk, worker_id="first", outcomes=[SENT], now=NOON)
    with pytest.raises(NotFound):
        record_delivery(message_id=message.pk + 1, worker_id="first", outcomes=[SENT], now=NOON)

    assert DeliveryStatus.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("outcomes", [[SENT, SENT], [Outcome("fax", DeliveryState.SENT)], [SENT, FAILED]])
def test_outcomes_of_other_channels_change_nothing(outcomes):
    message = MessageFactory()
    claim(worker_id="w", now=NOON)

    with pytest.raises(ValidationFailed):
        record_delivery(message_id=message.pk, worker_id="w", outcomes=outcomes, now=NOON)

    message.refresh_from_db()
    assert (message.status, DeliveryStatus.objects.count()) == ("processing", 0)


@pytest.mark.django_db
def test_a_channel_that_has_taken_a_message_is_not_reported_again():
    message = MessageFactory(channels=["telegram", "email"])
    attempt(message, SENT)
    claim(worker_id="w", now=message.scheduled_for)

    with pytest.raises(ValidationFailed):
        record_delivery(message_id=message.pk, worker_id="w", outcomes=[SENT], now=message.scheduled_for)


@pytest.mark.django_db
def test_errors_are_kept_without_secrets():
    message = MessageFactory()
    leak = Outcome("telegram", DeliveryState.FAILED, error_message="Authorization: Bearer abcdefgh12345678")

    attempt(message, leak)

    assert message.last_error == "telegram: Authorization: ***"
    assert DeliveryStatus.objects.get().error_message == "Authorization: ***"


@pytest.mark.django_db
def test_a_waiting_message_is_cancelled_by_a_person():
    message, actor = MessageFactory(), Actor(UserFactory(email="desk@example.com"))

    message_cancel(message_id=message.pk, actor=actor, reason="sent by mistake")
    with pytest.raises(Conflict):
        message_cancel(message_id=message.pk, actor=actor, reason="again")

    message.refresh_from_db()
    action = UserAction.objects.get()
    assert message.status == "cancelled"
    assert (action.action, action.user_email, action.reason) == (
        "message.cancel", "desk@example.com", "sent by mistake"
    )  # fmt: skip
    assert claim(worker_id="w", now=NOON + DAY) == []


@pytest.mark.django_db
def test_old_messages_go_with_their_deliveries_and_no_younger_one(monkeypatch):
    monkeypatch.setattr("notifications.services.queue.REMOVED_AT_ONCE", 1)
    ended = {"delivered": 30 * DAY, "failed": 90 * DAY, "cancelled": 90 * DAY}
    for status, age in ended.items():
        gone = MessageFactory(status=status, processed_at=NOON - age - SECOND)
        DeliveryStatusFactory(message=gone)
        DeliveryStatusFactory(message=MessageFactory(status=status, processed_at=NOON - age))
    MessageFactory(scheduled_for=NOON - 400 * DAY, processed_at=NOON - 400 * DAY)

    assert (messages_remove_old(now=NOON), messages_remove_old(now=NOON)) == (3, 0)

    kept = Message.objects.order_by("status").values_list("status", "processed_at")
    assert list(kept) == [
        ("cancelled", NOON - 90 * DAY), ("delivered", NOON - 30 * DAY), ("failed", NOON - 90 * DAY),
        ("pending", NOON - 400 * DAY),
    ]  # fmt: skip
    assert DeliveryStatus.objects.count() == 3


@pytest.mark.django_db
def test_the_job_removes_old_messages():
    MessageFactory(status="delivered", processed_at=NOON - 400 * DAY)

    assert (remove_old_messages(), Message.objects.count()) == (1, 0)
