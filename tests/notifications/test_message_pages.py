"""Messages, channels, limits and feedback in the admin."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import UserAction
from notifications.models import ChannelConfig, Feedback, RateLimit
from tests.factories import (
    NOON,
    ChannelConfigFactory,
    DeliveryStatusFactory,
    FeedbackFactory,
    MessageFactory,
    RateLimitFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def browser(role: str) -> Client:
    client = Client()
    client.force_login(UserFactory(role=role, email=f"{role}@example.com"))
    return client


def url(view: str, *args: Any) -> str:
    return reverse(f"admin:notifications_{view}", args=args)


def test_a_message_shows_its_deliveries_and_is_cancelled_while_it_waits():
    message = MessageFactory(last_error="telegram: no answer")
    DeliveryStatusFactory(message=message, external_id="ext-5")
    page, button, trader = url("message_change", message.pk), url("message_cancel", message.pk), browser("trader")
    assert "ext-5" in trader.get(page).content.decode()

    assert browser("viewer").post(button, {"reason": "x"}).status_code == 403
    trader.post(button, {"reason": "wrong text"})
    again = trader.post(button, {"reason": "again"}, follow=True)

    message.refresh_from_db()
    assert message.status == "cancelled"
    assert "is not possible as things are now" in again.content.decode()
    assert UserAction.objects.get(action="message.cancel").reason == "wrong text"


def test_admin_adds_a_channel_and_changes_its_limit():
    client = browser("admin")
    limits = {"rate_limit_per_minute": "30", "max_retries": "3", "timeout_seconds": "30"}
    added = client.post(url("channelconfig_add"), {"channel": "telegram", "enabled": "on", "config": "{}", **limits})
    channel = ChannelConfig.objects.get()
    ChannelConfig.objects.update(updated_at=NOON)

    changed = client.post(
        url("channelconfig_change", channel.pk),
        {
            "enabled": "on",
            "config": "{}",
            "initial-config": "{}",
            **limits,
            "rate_limit_per_minute": "20",
            "reason": "too loud",
        },
    )

    channel.refresh_from_db()
    action = UserAction.objects.get(action="channel.update")
    assert (added.status_code, changed.status_code) == (302, 302)
    assert (channel.rate_limit_per_minute, channel.enabled) == (20, True)
    assert channel.updated_at > NOON
    assert (action.before, action.after, action.reason) == (
        {"rate_limit_per_minute": 30}, {"rate_limit_per_minute": 20}, "too loud"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"config": '{"bot_token": "1:a"}'}, "Credentials do not belong here"),
        ({"channel": "Telegram"}, "lower-case letters"),
        ({"rate_limit_per_minute": "0"}, "channel_configs_positive_rate"),
    ],
)
def test_a_channel_that_breaks_a_rule_is_not_added(fields, words):
    form = {
        "channel": "telegram", "enabled": "on", "config": "{}", "rate_limit_per_minute": "30", "max_retries": "3",
        "timeout_seconds": "30",
    }  # fmt: skip

    answer = browser("admin").post(url("channelconfig_add"), form | fields)

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not ChannelConfig.objects.exists()


@pytest.mark.parametrize("role", ["trader", "viewer"])
def test_channels_and_limits_are_set_by_admins_alone(role):
    channel, bucket, client = ChannelConfigFactory(), RateLimitFactory(), browser(role)

    answers = [
        client.post(url("channelconfig_add"), {"channel": "x"}),
        client.post(url("channelconfig_change", channel.pk), {"reason": "x"}),
        client.post(url("ratelimit_change", bucket.pk), {"max_tokens": "1", "refill_rate": "1", "reason": "x"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert client.get(url("ratelimit_changelist")).status_code == 200


def test_admin_changes_the_bucket_of_one_recipient():
    bucket = RateLimitFactory(user_id="chat_9")

    browser("admin").post(
        url("ratelimit_change", bucket.pk), {"max_tokens": "5", "refill_rate": "5", "reason": "asks too much"}
    )

    row = RateLimit.objects.get()
    assert (row.max_tokens, row.refill_rate, row.tokens) == (5, 5, 30)
    assert UserAction.objects.get(action="rate_limit.update").resource_id == "chat_9:telegram"


def test_feedback_is_the_persons_own_and_followed_by_admins():
    trader, admin = browser("trader"), browser("admin")
    assert trader.post(url("feedback_add"), {"type": "feature_request", "message": "More charts."}).status_code == 302
    feedback = Feedback.objects.get()
    assert (feedback.user.email, feedback.type, feedback.status) == ("trader@example.com", "feature_request", "open")

    assert trader.post(url("feedback_change", feedback.pk), {"status": "done", "reason": "x"}).status_code == 403
    admin.post(url("feedback_change", feedback.pk), {"status": "done", "reason": "built"})

    feedback.refresh_from_db()
    assert feedback.status == "done"
    assert UserAction.objects.get(action="feedback.update").reason == "built"


def test_a_viewer_reads_feedback_and_adds_none():
    FeedbackFactory()
    viewer = browser("viewer")

    assert viewer.get(url("feedback_changelist")).status_code == 200
    assert viewer.post(url("feedback_add"), {"type": "feedback", "message": "x"}).status_code == 403
