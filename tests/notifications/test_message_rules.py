"""Messages, channels, limits, broadcasts, feedback: what the database refuses, by the name of the rule."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from notifications.models import DeliveryStatus, Message
from tests.factories import (
    NOON,
    BroadcastFactory,
    ChannelConfigFactory,
    DeliveryStatusFactory,
    FeedbackFactory,
    MessageFactory,
    RateLimitFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

LOCK = {"locked_by": "sender", "locked_at": NOON}
BAD = [
    (MessageFactory, {"priority": "NORMAL"}, "messages_valid_priority"),
    (MessageFactory, {"priority": "urgent"}, "messages_valid_priority"),
    (MessageFactory, {"status": "sent"}, "messages_valid_status"),
    (MessageFactory, {"message_type": ""}, "messages_named"),
    (MessageFactory, {"channels": []}, "messages_have_channels"),
    (MessageFactory, {"channels": ["telegram", ""]}, "messages_have_channels"),
    (MessageFactory, {"retry_count": -1}, "messages_retry_count_not_negative"),
    (MessageFactory, {"retry_count": -2, "max_retries": -1}, "messages_max_retries_not_negative"),
    (MessageFactory, {"retry_count": 4, "max_retries": 3}, "messages_retries_have_an_end"),
    (MessageFactory, {"status": "processing"}, "messages_locked_while_processing"),
    (MessageFactory, {"status": "processing", "locked_by": "sender"}, "messages_locked_while_processing"),
    (MessageFactory, {**LOCK}, "messages_locked_while_processing"),
    (MessageFactory, {"locked_at": NOON}, "messages_locked_while_processing"),
    (MessageFactory, {"status": "delivered", "processed_at": NOON, **LOCK}, "messages_locked_while_processing"),
    (MessageFactory, {"status": "delivered"}, "messages_ended_has_time"),
    (MessageFactory, {"status": "failed"}, "messages_ended_has_time"),
    (MessageFactory, {"status": "cancelled"}, "messages_ended_has_time"),
    (DeliveryStatusFactory, {"status": "SENT"}, "delivery_status_valid_status"),
    (DeliveryStatusFactory, {"channel": ""}, "delivery_status_has_channel"),
    (DeliveryStatusFactory, {"status": "delivered"}, "delivery_status_delivered_has_time"),
    (DeliveryStatusFactory, {"response_time_ms": -1}, "delivery_status_response_time_not_negative"),
    (ChannelConfigFactory, {"channel": ""}, "channel_configs_valid_channel"),
    (ChannelConfigFactory, {"channel": "Telegram"}, "channel_configs_valid_channel"),
    (ChannelConfigFactory, {"channel": "tele\u200bgram"}, "channel_configs_valid_channel"),
    (ChannelConfigFactory, {"channel": "telegram\n"}, "channel_configs_valid_channel"),
    (ChannelConfigFactory, {"config": {"bot_token": "1:a"}}, "channel_configs_no_credentials"),
    (ChannelConfigFactory, {"config": {"host": "x", "password": "p"}}, "channel_configs_no_credentials"),
    (ChannelConfigFactory, {"rate_limit_per_minute": 0}, "channel_configs_positive_rate"),
    (ChannelConfigFactory, {"max_retries": -1}, "channel_configs_max_retries_not_negative"),
    (ChannelConfigFactory, {"timeout_seconds": 0}, "channel_configs_positive_timeout"),
    (RateLimitFactory, {"tokens": -1}, "rate_limits_tokens_not_negative"),
    (RateLimitFactory, {"max_tokens": 0}, "rate_limits_positive_capacity"),
    (RateLimitFactory, {"refill_rate": 0}, "rate_limits_positive_refill"),
    (RateLimitFactory, {"user_id": ""}, "rate_limits_named"),
    (RateLimitFactory, {"channel": ""}, "rate_limits_named"),
    (BroadcastFactory, {"success_count": -1}, "broadcasts_counts_fit"),
    (BroadcastFactory, {"success_count": 11}, "broadcasts_counts_fit"),
    (BroadcastFactory, {"message": ""}, "broadcasts_named"),
    (BroadcastFactory, {"sent_by": ""}, "broadcasts_named"),
    (FeedbackFactory, {"type": "praise"}, "feedbacks_valid_type"),
    (FeedbackFactory, {"status": "new"}, "feedbacks_valid_status"),
    (FeedbackFactory, {"message": ""}, "feedbacks_not_empty"),
]


@pytest.mark.parametrize(("make", "columns", "rule"), BAD)
def test_row_that_breaks_a_rule_is_refused(make, columns, rule):
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        make(**columns)

    assert caught.value.__cause__.diag.constraint_name == rule


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (MessageFactory, {"recipient_id": None, "channels": ["telegram", "email"], "priority": "critical"}),
        (MessageFactory, {"status": "processing", **LOCK}),
        (MessageFactory, {"retry_count": 3, "max_retries": 3, "status": "failed", "processed_at": NOON}),
        (MessageFactory, {"max_retries": 0}),
        (DeliveryStatusFactory, {"status": "delivered", "delivered_at": NOON, "response_time_ms": 0}),
        (DeliveryStatusFactory, {"status": "bounced"}),
        (ChannelConfigFactory, {"channel": "email", "config": {"host": "mail.example.com", "port": 25}}),
        (RateLimitFactory, {"tokens": 0, "max_tokens": 1, "refill_rate": 1}),
        (BroadcastFactory, {"success_count": 0, "total_count": 0}),
        (FeedbackFactory, {"type": "feature_request", "status": "declined"}),
    ],
)
def test_good_row_is_stored(make, columns):
    row = make(**columns)

    assert type(row).objects.filter(pk=row.pk, **columns).exists()


@pytest.mark.parametrize(
    ("make", "column"),
    [
        (MessageFactory, "created_at"),
        (MessageFactory, "scheduled_for"),
        (MessageFactory, "processed_at"),
        (DeliveryStatusFactory, "delivered_at"),
        (DeliveryStatusFactory, "created_at"),
        (ChannelConfigFactory, "created_at"),
        (ChannelConfigFactory, "updated_at"),
        (RateLimitFactory, "last_refill"),
        (RateLimitFactory, "created_at"),
        (BroadcastFactory, "created_at"),
        (FeedbackFactory, "created_at"),
    ],
)
def test_a_time_that_never_comes_is_refused(make, column):
    row = make()
    table = row._meta.db_table
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = 'infinity'")

    assert caught.value.__cause__.diag.constraint_name == f"{table}_finite_times"


def test_a_lock_that_never_grows_stale_is_refused():
    MessageFactory(status="processing", **LOCK)
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE messages SET locked_at = 'infinity'")

    assert caught.value.__cause__.diag.constraint_name == "messages_finite_times"


@pytest.mark.parametrize("second", ["sent", "delivered"])
def test_a_channel_takes_a_message_once(second):
    first = DeliveryStatusFactory(status="sent")
    DeliveryStatusFactory(message=first.message, status="failed")
    DeliveryStatusFactory(message=first.message, channel="email", status="sent")

    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        DeliveryStatusFactory(message=first.message, status=second, delivered_at=NOON)

    assert caught.value.__cause__.diag.constraint_name == "delivery_status_taken_once"


def test_a_recipient_has_one_bucket_for_a_channel():
    bucket = RateLimitFactory()
    RateLimitFactory(user_id=bucket.user_id, channel="email")

    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        RateLimitFactory(user_id=bucket.user_id)

    assert caught.value.__cause__.diag.constraint_name == "rate_limits_unique_bucket"


def test_a_message_does_not_go_while_deliveries_speak_of_it():
    delivery = DeliveryStatusFactory()

    with pytest.raises(ProtectedError):
        delivery.message.delete()

    assert (Message.objects.count(), DeliveryStatus.objects.count()) == (1, 1)


def test_feedback_outlives_who_gave_it():
    feedback = FeedbackFactory(user=UserFactory())

    feedback.user.delete()

    feedback.refresh_from_db()
    assert feedback.user_id is None


def test_a_broadcast_counts_whom_it_did_not_reach():
    assert BroadcastFactory(success_count=8, total_count=10).failed_count == 2


def test_times_of_the_database_are_there_without_django():
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messages (message_type, channels, content) VALUES ('alert', '{sms}', '{}') "
            "RETURNING status, priority, retry_count, max_retries, statement_timestamp() - created_at, "
            "statement_timestamp() - scheduled_for"
        )
        assert cursor.fetchone() == ("pending", "normal", 0, 3, timedelta(0), timedelta(0))
