"""Worker and beat as they really run: processes, PostgreSQL, Redis."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone

from analytics.models import PortfolioSnapshot, RiskMetrics
from analytics.selectors.grid import slot_at
from audit.models import SystemEvent
from bots.live.client import sync_client
from bots.models import Bot, Position
from tests.factories import AccountBalanceFactory, BotFactory, PositionFactory, TradeFactory
from tests.jobs.celery_processes import beat, eventually, worker

pytestmark = pytest.mark.django_db(transaction=True)

SENT = "Sending due task mark positions"
HOLDS = "This beat holds the lock"
TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'tradingdb-beat' AND datname = current_database()
"""


@pytest.fixture
def prefix() -> Iterator[str]:
    """Redis keys of one test."""
    prefix = f"test-{uuid4().hex}:"
    yield prefix
    for key in sync_client().scan_iter(f"{prefix}*"):
        sync_client().delete(key)


def send(name: str, prefix: str, **arguments: Any) -> None:
    """Put a job on the queue of the test's worker."""
    options = {**current_app.conf.broker_transport_options, "global_keyprefix": f"{prefix}celery:"}
    with current_app.connection_for_write(transport_options=options) as broker:
        current_app.send_task(name, kwargs=arguments, connection=broker)


def queued(prefix: str) -> int:
    """How many jobs wait for a worker."""
    return sync_client().llen(f"{prefix}celery:celery")


def test_a_worker_computes_what_it_is_sent_and_the_same_when_it_is_sent_again(tmp_path: Path, prefix: str) -> None:
    now = timezone.now()
    yesterday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=12)
    bot = BotFactory(initial_capital=Decimal(1000), created_at=now - timedelta(days=3))
    AccountBalanceFactory(bot=bot, timestamp=yesterday, equity=Decimal(1010))
    TradeFactory(bot=bot, entry_time=yesterday, exit_time=yesterday, gross_pnl=Decimal(12), fees=Decimal(2))
    slot = slot_at(now - timedelta(minutes=5)).isoformat()

    with worker(tmp_path, prefix=prefix) as running:
        for round_number in (1, 2):
            send("analytics.tasks.compute_daily_risk_metrics", prefix)
            send("analytics.tasks.take_portfolio_snapshot", prefix, slot=slot)
            running.await_lines(" succeeded in ", number=2 * round_number)
        log = running.log()

    # 1010 / 1000 and 12 - 2.
    row = RiskMetrics.objects.get()
    assert (row.date, row.daily_return, row.net_profit) == (yesterday.date(), Decimal("0.01"), 10)
    assert (PortfolioSnapshot.objects.get().total_equity, Bot.objects.get().total_pnl) == (1010, 10)
    assert [word for word in ("Traceback", "WARNING", "ERROR", "Warning") if word in log] == []


def test_beat_and_worker_keep_marks_and_heartbeats_by_themselves(tmp_path: Path, prefix: str) -> None:
    now = timezone.now()
    BotFactory(last_heartbeat=now - timedelta(hours=1))
    PositionFactory(marked_at=now - timedelta(hours=1), opened_at=now - timedelta(hours=2))
    price = {"price": "123.5", "timestamp": now.isoformat()}
    sync_client().set(f"{prefix}price:BTCUSDT", json.dumps(price), ex=60)

    with worker(tmp_path, prefix=prefix) as worker_running, beat(tmp_path, prefix=prefix) as beat_running:
        eventually(lambda: Position.objects.get().unrealized_pnl == Decimal("23.5"), worker_running.log)
        eventually(lambda: SystemEvent.objects.exists(), worker_running.log)
        logs = worker_running.log() + beat_running.log()

    assert SystemEvent.objects.get().event_type == "BOT_DOWN"
    assert [word for word in ("Traceback", "WARNING", "ERROR", "Warning") if word in logs] == []


def test_of_two_beats_one_sends_and_the_other_takes_over_when_it_dies(tmp_path: Path, prefix: str) -> None:
    with beat(tmp_path, "one", prefix=prefix) as one:
        one.await_lines(HOLDS)
        with beat(tmp_path, "other", prefix=prefix) as other:
            eventually(lambda: queued(prefix) >= 2, one.log)
            assert (other.lines(HOLDS), other.lines("Sending due task")) == ([], [])

            one.kill()

            other.await_lines(HOLDS)
            other.await_lines(SENT)
            # What lies on the queue is what the two say they sent: nothing twice, nothing lost.
            sent = "Sending due task"
            eventually(lambda: queued(prefix) == len(one.lines(sent)) + len(other.lines(sent)), other.log)


def test_a_beat_that_loses_its_connection_goes_on_with_a_new_one(tmp_path: Path, prefix: str) -> None:
    with beat(tmp_path, prefix=prefix) as running:
        running.await_lines(HOLDS)
        with connection.cursor() as cursor:
            cursor.execute(TERMINATE)
            assert cursor.fetchall() == [(True,)]

        running.await_lines("The beat lost its lock")
        running.await_lines(HOLDS, number=2)
        running.await_lines(SENT)

    assert "Traceback" not in running.log()
