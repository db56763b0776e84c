"""The queue of messages: put in, claimed by one sender at a time, ended by what the channels said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from audit.services.actions import Actor
from notifications.choices import TAKEN, DeliveryState, MessageStatus, Priority
from notifications.models import ChannelConfig, DeliveryStatus, Message
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed
from tradingdb.lib.logs import redact

CLAIM_LIMIT = 10
STALE_AFTER = timedelta(minutes=5)
# The pause doubles with each retry: 1, 2, 4, … minutes, 32 at most.
FIRST_PAUSE = timedelta(seconds=60)
DOUBLINGS = 5
ERROR_LENGTH = 2000
DELIVERED_KEPT = timedelta(days=30)
OTHERS_KEPT = timedelta(days=90)
REMOVED_AT_ONCE = 2000
RANK = Case(*(When(priority=priority, then=Value(-rank)) for rank, priority in enumerate(Priority)))


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What a message is made of; without `scheduled_for` it is due at once."""

    message_type: str
    recipient_id: str
    channels: Sequence[str]
    content: Mapping[str, Any]
    priority: Priority = Priority.NORMAL
    scheduled_for: datetime | None = None
    max_retries: int = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one channel made of a message: sent, delivered, failed or bounced."""

    channel: str
    status: DeliveryState
    response_time_ms: int | None = None
    error_message: str | None = None
    external_id: str | None = None


def enqueue(*, new: NewMessage) -> Message:
    """Put a message into the queue and return it.

    Raises ValidationFailed without a recipient, and for a channel that is not configured or switched off: such a
    message would only fail later, again and again.
    """
    if not new.recipient_id.strip():
        raise ValidationFailed("A message needs a recipient.")
    channels = list(dict.fromkeys(new.channels))
    usable = set(ChannelConfig.objects.filter(channel__in=channels, enabled=True).values_list("channel", flat=True))
    if not channels or set(channels) - usable:
        missing = ", ".join(sorted(set(channels) - usable)) or "none named"
        raise ValidationFailed(f"These channels are not in use: {missing}.")
    return Message.objects.create(
        message_type=new.message_type, recipient_id=new.recipient_id, channels=channels, content=dict(new.content),
        priority=new.priority, scheduled_for=new.scheduled_for or timezone.now(), max_retries=new.max_retries,
    )  # fmt: skip


@transaction.atomic
def claim(*, worker_id: str, now: datetime, limit: int = CLAIM_LIMIT) -> list[Message]:
    """Lock due messages for one sender and return them: critical ones first, then by their time.

    A lock older than five minutes is stale: its attempt counts as failed, and the message goes back or ends.
    """
    _release_stale(now)
    due = Message.objects.filter(status=MessageStatus.PENDING, scheduled_for__lte=now)
    found = due.order_by(RANK, "scheduled_for", "pk").select_for_update(skip_locked=True)[:limit]
    claimed = list(found)
    for message in claimed:
        message.status, message.locked_by, message.locked_at = MessageStatus.PROCESSING, worker_id[:100], now
    Message.objects.bulk_update(claimed, ["status", "locked_by", "locked_at"])
    return claimed


def _release_stale(now: datetime) -> None:
    stale = Message.objects.filter(status=MessageStatus.PROCESSING, locked_at__lt=now - STALE_AFTER)
    for message in stale.order_by("pk").select_for_update(skip_locked=True):
        _fail(message, error=f"{message.locked_by} fell silent.", now=now)


def channels_left(message: Message) -> list[str]:
    """Return the channels that have not taken a message yet: only these are tried, also after a retry."""
    taken = set(message.deliveries.filter(status__in=TAKEN).values_list("channel", flat=True))
    return [channel for channel in message.channels if channel not in taken]


@transaction.atomic
def record_delivery(*, message_id: int, worker_id: str, outcomes: Sequence[Outcome], now: datetime) -> Message:
    """Keep what the channels said of a claimed message and end the attempt; return the message.

    It is delivered once every channel has taken it. Otherwise it is tried again after a pause that doubles, at most
    `max_retries` times, and then failed. Raises NotFound, Conflict when this sender's lock is gone, and
    ValidationFailed for a channel that is not the message's or has taken it already.
    """
    message = Message.objects.select_for_update().filter(pk=message_id).first()
    if message is None:
        raise NotFound("No such message.", id=message_id)
    if message.status != MessageStatus.PROCESSING or message.locked_by != worker_id[:100]:
        raise Conflict("Another sender has this message, or it has ended.")
    told = [outcome.channel for outcome in outcomes]
    if len(set(told)) < len(told) or set(told) - set(channels_left(message)):
        raise ValidationFailed(f"These are not the channels that are left: {', '.join(told)}.")
    DeliveryStatus.objects.bulk_create([_delivery(message, outcome, now) for outcome in outcomes])
    if left := channels_left(message):
        errors = [f"{each.channel}: {each.error_message}" for each in outcomes if each.error_message]
        _fail(message, error="; ".join(errors) or f"Not taken by {', '.join(left)}.", now=now)
    else:
        _end(message, MessageStatus.DELIVERED, now=now)
    return message


def _delivery(message: Message, outcome: Outcome, now: datetime) -> DeliveryStatus:
    return DeliveryStatus(
        message=message, channel=outcome.channel, status=outcome.status, created_at=now,
        delivered_at=now if outcome.status == DeliveryState.DELIVERED else None,
        response_time_ms=outcome.response_time_ms, external_id=outcome.external_id,
        error_message=redact(outcome.error_message)[:ERROR_LENGTH] if outcome.error_message else None,
    )  # fmt: skip


def _fail(message: Message, *, error: str, now: datetime) -> None:
    """End an attempt without success: back into the queue while retries are left."""
    message.last_error = redact(error)[:ERROR_LENGTH]
    if message.retry_count < message.max_retries:
        message.scheduled_for = now + FIRST_PAUSE * 2 ** min(message.retry_count, DOUBLINGS)
        message.retry_count += 1
        _end(message, MessageStatus.PENDING, now=now)
    else:
        _end(message, MessageStatus.FAILED, now=now)


def _end(message: Message, status: MessageStatus, *, now: datetime) -> None:
    message.status, message.processed_at = status, now
    message.locked_by = message.locked_at = None
    message.save(
        update_fields=[
            "status", "processed_at", "locked_by", "locked_at", "last_error", "retry_count", "scheduled_for"
        ]
    )  # fmt: skip


@transaction.atomic
def message_cancel(*, message_id: int, actor: Actor, reason: str) -> Message:
    """Take a waiting message out of the queue. Raises NotFound, and Conflict for one that does not wait."""
    message = Message.objects.select_for_update().filter(pk=message_id).first()
    if message is None:
        raise NotFound("No such message.", id=message_id)
    if message.status != MessageStatus.PENDING:
        raise Conflict(f"The message is {message.status}.")
    _end(message, MessageStatus.CANCELLED, now=timezone.now())
    actor.record("message.cancel", "message", str(message.pk), after={"status": message.status}, reason=reason)
    return message


def messages_remove_old(*, now: datetime) -> int:
    """Remove delivered messages after 30 days and failed or cancelled ones after 90, with their deliveries.

    Returns the number of messages. They go in parts, so that no transaction is long.
    """
    old = Message.objects.filter(
        Q(status=MessageStatus.DELIVERED, processed_at__lt=now - DELIVERED_KEPT)
        | Q(status__in=[MessageStatus.FAILED, MessageStatus.CANCELLED], processed_at__lt=now - OTHERS_KEPT)
    )
    removed = 0
    while ids := list(old.order_by(F("processed_at")).values_list("pk", flat=True)[:REMOVED_AT_ONCE]):
        with transaction.atomic():
            DeliveryStatus.objects.filter(message_id__in=ids).delete()
            removed += Message.objects.filter(pk__in=ids).delete()[0]
    return removed
