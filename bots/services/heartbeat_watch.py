"""The watch over heartbeats: tells once when a bot goes late or down, and once when it is back."""

from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from audit.choices import EventLevel
from audit.models import SystemEvent
from bots.ledger.shapes import stamp
from bots.live.publish import LiveUpdate, publish
from bots.models import Bot

# What was last told of a bot stands beside it, so that one told twice is impossible and nothing has to be searched.
TOLD = "announced_liveness"
SILENT = ("late", "down")

# One watcher at a time; another one has nothing to add.
LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('bots.heartbeat_watch', 0))"
# Rows are locked in the order of their keys, so that two updates of many bots cannot wait for each other.
TELL = """
    WITH due AS (
        SELECT b.bot_id, v.liveness FROM bots b
        JOIN unnest(%(bots)s::text[], %(liveness)s::text[]) AS v(bot_id, liveness) ON v.bot_id = b.bot_id
        ORDER BY b.bot_id FOR NO KEY UPDATE OF b
    )
    UPDATE bots b SET extra_metadata = b.extra_metadata || jsonb_build_object(%(key)s::text, due.liveness)
    FROM due WHERE b.bot_id = due.bot_id
"""


class Change(NamedTuple):
    """A bot whose liveness is not what was last told."""

    bot: Bot
    told: str | None
    liveness: str

    @property
    def event_type(self) -> str | None:
        """BOT_LATE, BOT_DOWN or BOT_UP; None for a change nobody needs to hear of: a first heartbeat, a stop."""
        if self.liveness in SILENT:
            return f"BOT_{self.liveness.upper()}"
        return "BOT_UP" if self.liveness == "up" and self.told in SILENT else None


def heartbeat_watch() -> int:
    """Write one system event for every bot that went late, went down or came back; return how many."""
    now = timezone.now()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK)
            if not cursor.fetchone()[0]:
                return 0
        bots = Bot.objects.only("status", "last_heartbeat", "extra_metadata").order_by("bot_id")
        changes = [
            change
            for bot in bots
            if (change := Change(bot, bot.extra_metadata.get(TOLD), bot.liveness(now))).told != change.liveness
        ]
        if not changes:
            return 0
        _remember(changes)
        events = [event for change in changes if (event := _event(change, now)) is not None]
        SystemEvent.objects.bulk_create(events)
        updates = [*map(_bot_update, changes), *map(_event_update, events)]
        transaction.on_commit(lambda: publish(updates))
    return len(events)


def _remember(changes: list[Change]) -> None:
    columns: dict[str, Any] = {
        "key": TOLD,
        "bots": [change.bot.bot_id for change in changes],
        "liveness": [change.liveness for change in changes],
    }
    with connection.cursor() as cursor:
        cursor.execute(TELL, columns)


def _event(change: Change, now: datetime) -> SystemEvent | None:
    if change.event_type is None:
        return None
    last = change.bot.last_heartbeat
    assert last is not None
    age = int((now - last).total_seconds())
    is_up = change.liveness == "up"
    level = EventLevel.INFO if is_up else EventLevel.WARNING if change.liveness == "late" else EventLevel.ERROR
    return SystemEvent(
        event_time=now,
        event_id=f"{change.event_type}:{stamp(now)}",
        event_type=change.event_type,
        event_level=level,
        bot_id=change.bot.bot_id,
        component="heartbeat_watch",
        message="Heartbeats are back." if is_up else f"No heartbeat for {age} s.",
        details={"from": change.told, "to": change.liveness, "last_heartbeat": stamp(last)},
        source="system",
    )


def _bot_update(change: Change) -> LiveUpdate:
    last = change.bot.last_heartbeat
    data = {
        "bot_id": change.bot.bot_id,
        "status": change.bot.status,
        "liveness": change.liveness,
        "last_heartbeat": None if last is None else stamp(last),
    }
    return LiveUpdate(kind="bot", bot_id=change.bot.bot_id, symbol="", data=data)


def _event_update(event: SystemEvent) -> LiveUpdate:
    bot_id = event.bot_id or ""
    data = {"event_id": event.event_id, "event_type": event.event_type, "event_level": str(event.event_level)}
    data |= {"message": event.message, "event_time": stamp(event.event_time), "bot_id": bot_id}
    return LiveUpdate(kind="event", bot_id=bot_id, symbol="", data=data)
