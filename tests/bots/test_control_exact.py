"""No order request is accepted once a halt is answered: by the numbers, step by step, and while many ask at once."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from audit.services.actions import SYSTEM
from bots.ledger.bodies import fact_from
from bots.ledger.facts import NewOrder
from bots.models import Bot, ControlChange, ControlState, Order
from bots.selectors.control import accepted_since
from bots.services.context import bot_context
from bots.services.control import control_set
from bots.services.orders import record_order
from bots.services.plan import _rows
from bots.services.registry import bot_update
from bots.services.scope import bot_scope
from bots.services.shell import conninfo
from tests.bots.model_driver import say
from tests.bots.rich_ledger import registered
from tests.bots.test_races import order

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = int(os.environ.get("HALT_ROUNDS", "25"))
WAITING = """
    SELECT EXISTS (
        SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
        WHERE l.locktype = 'advisory' AND l.mode = 'ExclusiveLock' AND NOT l.granted
    )
"""
SCOPES = ("all", "exchange", "symbol", "bot")


@pytest.fixture
def bot(db: None, settings: Any) -> Bot:
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"
    return registered(f"exact_{uuid.uuid4().hex[:12]}", max_positions=50, leverage_limit=20)


def where(bot: Bot, scope: str) -> dict[str, str]:
    targets = {"all": "", "exchange": bot.exchange, "symbol": "BTCUSDT", "bot": bot.bot_id}
    return {"scope": scope, "target": targets[scope]}


def halt(**scope: str) -> ControlState:
    """Halt from a connection of its own; it ends with the thread."""
    try:
        return control_set(**scope, state="HALTED", reason="enough", actor=SYSTEM)
    finally:
        connection.close()


@contextmanager
def checked_request(bot: Bot, order_id: str) -> Iterator[Any]:
    """A request in a transaction of its own that has read its states, and found nothing against it.

    Gives what ends it; at the end of the block it is rolled back if it was not.
    """
    body = {"order_id": order_id, "symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "1"}
    told = fact_from(NewOrder, body | {"intent": "request"}, source="api")
    with transaction.atomic(), bot_scope(bot.bot_id), connection.cursor() as cursor:
        plan = record_order(bot_context(bot.bot_id), told)
        step = plan.send([_rows(cursor, statement) for statement in next(plan)])

        def finish() -> None:
            nonlocal step
            try:
                while True:
                    step = plan.send([_rows(cursor, statement) for statement in step])
            except StopIteration:
                return

        yield finish


def is_waiting() -> bool:
    """Whether somebody waits for the lock of a scope alone."""
    with psycopg.connect(conninfo()) as session:
        return bool(session.execute(WAITING).fetchone()[0])  # type: ignore[index]


def begin_halt(pool: ThreadPoolExecutor, **scope: str) -> "Future[ControlState]":
    """Begin to halt, and return when the halt has to wait for somebody."""
    halting = pool.submit(halt, **scope)
    while not is_waiting():
        assert not halting.done(), "the halt did not wait for the request that was checked before it"
        time.sleep(0.01)
    return halting


def test_a_halt_waits_for_the_request_that_was_checked_before_it(bot: Bot) -> None:
    released = 0
    for scope in SCOPES:
        with ThreadPoolExecutor(1) as pool:
            with checked_request(bot, f"{scope}-first") as finish:
                halting = begin_halt(pool, **where(bot, scope))
                finish()
            row = halting.result()

        accepted, change = Order.objects.get(order_id=f"{scope}-first"), ControlChange.objects.first()
        assert change is not None
        assert (change.pk, change.scope, change.state) == (row.server_seq, scope, "HALTED")
        assert (accepted.control_seq, accepted.pk < change.pk) == (released, True)
        assert say(bot.bot_id, order(f"{scope}-second", intent="request")).status == 409
        refused = Order.objects.get(order_id=f"{scope}-second")
        assert (refused.control_seq, refused.pk > change.pk) == (None, True)
        assert accepted_since(change) == 0
        free = control_set(**where(bot, scope), state="ACTIVE", reason="on", actor=SYSTEM, on_release=lambda: None)
        released = free.server_seq


def test_a_frozen_request_does_not_keep_a_halt_waiting(bot: Bot) -> None:
    """Its process stands still in the middle: it loses its session after a second, and its order with it."""
    rows: list[ControlState] = []

    def freeze(pool: ThreadPoolExecutor) -> None:
        with checked_request(bot, "frozen") as finish:
            rows.append(begin_halt(pool, **where(bot, "all")).result(timeout=30))
            finish()

    with ThreadPoolExecutor(1) as pool, pytest.raises(DatabaseError):
        freeze(pool)
    connection.close()

    assert [row.state for row in rows] == ["HALTED"]
    assert not Order.objects.exists()


def test_a_bot_that_is_paused_meanwhile_is_not_admitted(bot: Bot) -> None:
    def stop() -> None:
        try:
            bot_update(bot_id=bot.bot_id, changes={"status": "paused"}, actor=SYSTEM)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with checked_request(bot, "first") as finish:
            stopping = pool.submit(stop)
            while not is_waiting():
                assert not stopping.done()
                time.sleep(0.01)
            finish()
        stopping.result()

    assert Order.objects.get().control_seq == 0
    assert say(bot.bot_id, order("second", intent="request")).status == 409


def test_while_many_ask_none_is_accepted_after_the_halt(bot: Bot) -> None:
    """Rounds of halts, of changing scopes, amid requests; the numbers say which came first."""
    stop, number = threading.Event(), iter(range(10**9))
    numbering = threading.Lock()

    def ask() -> None:
        try:
            while not stop.is_set():
                with numbering:
                    name = f"o{next(number)}"
                say(bot.bot_id, order(name, intent="request", symbol="BTCUSDT"))
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            for round_ in range(ROUNDS):
                scope = where(bot, SCOPES[round_ % len(SCOPES)])
                row = control_set(**scope, state="HALTED", reason="enough", actor=SYSTEM)
                newest = Order.objects.order_by("-id").values_list("id", flat=True).first() or 0
                deadline = time.monotonic() + 20
                while not Order.objects.filter(id__gt=max(newest, row.server_seq), control_seq=None).exists():
                    assert time.monotonic() < deadline, "nobody asked after the halt"
                control_set(**scope, state="ACTIVE", reason="on", actor=SYSTEM, on_release=lambda: None)
                begun = ControlChange.objects.order_by("-id").first()
                assert begun is not None
                while not Order.objects.filter(id__gt=begun.pk).exclude(control_seq=None).exists():
                    assert time.monotonic() < deadline, "nobody was accepted after the release"
        finally:
            stop.set()
        for one in asking:
            one.result()

    halts = ControlChange.objects.filter(state="HALTED")
    assert len(halts) == ROUNDS
    assert [accepted_since(change) for change in halts] == [0] * ROUNDS
    accepted = Order.objects.exclude(control_seq=None)
    assert accepted.count() >= ROUNDS
    # What each was admitted under is the newest change before it: a release, or nothing yet.
    releases = {0, *ControlChange.objects.filter(state="ACTIVE").values_list("id", flat=True)}
    assert {*accepted.values_list("control_seq", flat=True)} <= releases
    assert not [pk for pk, seq in accepted.values_list("pk", "control_seq") if seq >= pk]
