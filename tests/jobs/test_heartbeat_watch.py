"""The watch over heartbeats: each change is told once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection

from audit.models import SystemEvent
from bots.live.publish import LiveUpdate
from bots.models import Bot
from bots.services.heartbeat_watch import heartbeat_watch
from tests.factories import NOON, BotFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def events() -> list[tuple[str | None, str, str]]:
    rows = SystemEvent.objects.order_by("id")
    return [(row.bot_id, row.event_type, row.event_level) for row in rows]


def beat(bot: Bot, seconds: float) -> None:
    Bot.objects.filter(pk=bot.pk).update(last_heartbeat=NOON + timedelta(seconds=seconds))


def test_late_down_and_back_are_told_once_each(clock: time_machine.Traveller) -> None:
    bot = BotFactory(bot_id="b", last_heartbeat=NOON, extra_metadata={"note": "kept"})
    told = []
    for second in (0, 30, 31, 40, 120, 121, 200, 300):
        clock.move_to(NOON + timedelta(seconds=second))
        if second == 200:
            beat(bot, 199)
        told.append(heartbeat_watch())

    # Late after 30 s, down after 120 s; back at 200; late, then down again: 101 s after 199 is late.
    assert told == [0, 0, 1, 0, 0, 1, 1, 1]
    assert events() == [
        ("b", "BOT_LATE", "WARNING"),
        ("b", "BOT_DOWN", "ERROR"),
        ("b", "BOT_UP", "INFO"),
        ("b", "BOT_LATE", "WARNING"),
    ]
    down = SystemEvent.objects.get(event_type="BOT_DOWN")
    assert (down.message, down.component, down.source) == ("No heartbeat for 121 s.", "heartbeat_watch", "system")
    assert down.event_time == NOON + timedelta(seconds=121)
    assert Bot.objects.get().extra_metadata == {"note": "kept", "announced_liveness": "late"}


def test_a_bot_that_was_silent_before_the_watch_began_is_told() -> None:
    BotFactory(bot_id="b", last_heartbeat=NOON - timedelta(days=1))

    assert (heartbeat_watch(), heartbeat_watch()) == (1, 0)

    assert events() == [("b", "BOT_DOWN", "ERROR")]


def test_first_heartbeats_and_stops_are_no_news(clock: time_machine.Traveller) -> None:
    bot = BotFactory()
    heartbeat_watch()
    beat(bot, 0)
    heartbeat_watch()
    Bot.objects.update(status="stopped")
    clock.move_to(NOON + timedelta(hours=1))
    heartbeat_watch()

    assert events() == []

    Bot.objects.update(status="active")
    assert heartbeat_watch() == 1


def test_the_live_layer_hears_of_it_after_the_commit(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    published: list[LiveUpdate] = []
    monkeypatch.setattr("bots.services.heartbeat_watch.publish", published.extend)
    BotFactory(bot_id="b", last_heartbeat=NOON - timedelta(seconds=60))

    with django_capture_on_commit_callbacks() as callbacks:
        heartbeat_watch()
    assert published == []
    for callback in callbacks:
        callback()

    bot, event = published
    assert (bot["kind"], bot["bot_id"], bot["data"]["liveness"]) == ("bot", "b", "late")
    assert (event["kind"], event["data"]["event_type"]) == ("event", "BOT_LATE")


@pytest.mark.django_db(transaction=True)
def test_two_watches_at_once_tell_once() -> None:
    for _ in range(20):
        BotFactory(last_heartbeat=NOON - timedelta(seconds=60))

    def watch(_: int) -> int:
        try:
            return heartbeat_watch()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(watch, range(8)))

    assert sum(counts) == 20
    assert len({bot_id for bot_id, _, _ in events()}) == len(events()) == 20
