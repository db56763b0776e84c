"""Deadlocks and lost serialisations of real transactions are run again inside, in both shells, at most three times."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

from audit.services.actions import SYSTEM
from bots.models import Bot, Order
from bots.services import shell as shell_module
from bots.services.plan import Outcome, Plan, Sql, run
from bots.services.shell import Shell
from bots.services.tokens import token_create
from tests.factories import BotFactory, OrderFactory
from tests.jobs.celery_processes import environment
from tradingdb.lib import retry
from tradingdb.lib.errors import Unavailable
from tradingdb.lib.retry import ATTEMPTS, atomic_retried, pause

pytestmark = pytest.mark.django_db(transaction=True)
# What the bots' login may write as well, on the rows of one bot.
NOTE = "UPDATE orders SET rejection_reason = %(name)s WHERE order_id = %(order_id)s"


class Meeting:
    """Makes the first attempts of two transactions overlap, and counts all of them."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2, timeout=20)
        self.attempts = 0
        self._met: set[int] = set()
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            self.attempts += 1

    def meet(self, who: int) -> None:
        """Wait for the other one, in the first attempt only."""
        if who not in self._met:
            self._met.add(who)
            self._both.wait()


def crosswise(meeting: Meeting, who: int, first: str, second: str) -> Plan[Outcome]:
    """Write two rows; two that do so in opposite orders deadlock."""
    meeting.begin()
    yield [Sql(NOTE, {"name": f"by {who}", "order_id": first})]
    meeting.meet(who)
    yield [Sql(NOTE, {"name": f"by {who}", "order_id": second})]
    return Outcome(200, {"who": who})


def count_up(meeting: Meeting, who: int, order_id: str) -> Plan[Outcome]:
    """Read, wait for the other, write what was read and one more: one of two is not serialisable."""
    meeting.begin()
    which = {"order_id": order_id}
    ((row,),) = yield [Sql("SELECT retry_count FROM orders WHERE order_id = %(order_id)s", which)]
    meeting.meet(who)
    change = "UPDATE orders SET retry_count = %(n)s WHERE order_id = %(order_id)s"
    yield [Sql(change, which | {"n": row["retry_count"] + 1})]
    return Outcome(200, {"who": who})


def in_threads(one: Callable[[int], Any]) -> list[Any]:
    def call(who: int) -> Any:
        try:
            return one(who)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(call, range(2)))


def through_shells(plans: list[Callable[[], Plan[Outcome]]], bot: Bot) -> list[Outcome]:
    """Run each plan for the bot through a lane of its own, each in its own thread with its own event loop."""
    tokens = [token_create(bot_id=bot.bot_id, actor=SYSTEM).token for _ in plans]

    async def drive(who: int) -> Outcome:
        shell = Shell(size=2)
        await shell.open()
        try:
            key = await shell.read_key(tokens[who].partition(".")[0].rpartition("_")[2])
            assert key is not None
            return await shell.run(key, lambda _: plans[who]())
        finally:
            await shell.close()

    return in_threads(lambda who: asyncio.run(drive(who)))


@pytest.mark.parametrize("through", ["django", "lane"])
def test_a_deadlock_is_run_again_and_both_get_through(through):
    meeting, bot = Meeting(), BotFactory()
    first, second = (OrderFactory(bot=bot).order_id for _ in range(2))
    orders = [(first, second), (second, first)]
    plans = [lambda who=who: crosswise(meeting, who, *orders[who]) for who in range(2)]

    outcomes = in_threads(lambda who: run(plans[who])) if through == "django" else through_shells(plans, bot)

    assert [outcome.body["who"] for outcome in outcomes] == [0, 1]
    # PostgreSQL ends one of the two, or on a busy machine both.
    assert meeting.attempts in (3, 4)
    # Whoever came last wrote both rows.
    assert len(set(Order.objects.values_list("rejection_reason", flat=True))) == 1


# Writes two rows, waits in between in its first attempt, and says how often it was run.
WRITER = f"""
import sys, tradingdb
tradingdb.setup()
from bots.services.plan import Outcome, Sql, run
attempts = []
def crosswise():
    attempts.append(1)
    for place, order_id in enumerate(sys.argv[1:]):
        if (place, len(attempts)) == (1, 1):
            print("holds one", flush=True)
            sys.stdin.readline()
        yield [Sql({NOTE!r}, {{"name": sys.argv[1], "order_id": order_id}})]
    return Outcome(200, {{}})
run(crosswise)
print(len(attempts), flush=True)
"""


def test_a_deadlock_of_two_processes_is_run_again_and_both_get_through():
    first, second = (OrderFactory().order_id for _ in range(2))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, *order], env=environment("unused:"), cwd=settings.BASE_DIR, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for order in ((first, second), (second, first))
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "holds one\n"
        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(lambda process: int(process.communicate("go\n", timeout=60)[0]), processes))
    finally:
        for process in processes:
            process.kill()

    assert sorted(said) == [1, 2]


@pytest.mark.parametrize("through", ["django", "lane"])
def test_a_lost_serialisation_is_run_again_and_both_count(through, monkeypatch):
    meeting, order = Meeting(), OrderFactory()
    before = order.retry_count
    plans = [lambda who=who: count_up(meeting, who, order.order_id) for who in range(2)]

    # Our transactions are READ COMMITTED, where this cannot happen; an operator may have set the database otherwise.
    isolation = r" -c default_transaction_isolation=repeatable\ read"
    if through == "django":
        options = connection.settings_dict["OPTIONS"]
        monkeypatch.setitem(options, "options", options["options"] + isolation)
        in_threads(lambda who: run(plans[who]))
    else:
        monkeypatch.setattr(shell_module, "OPTIONS", shell_module.OPTIONS + isolation)
        through_shells(plans, order.bot)

    order.refresh_from_db()
    assert (order.retry_count, meeting.attempts) == (before + 2, 3)


def deadlock_always(attempts: list[int]) -> Plan[Outcome]:
    attempts.append(1)
    yield [Sql("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$", {})]
    return Outcome(200, {})


def serialisation_always(attempts: list[int]) -> Plan[Outcome]:
    attempts.append(1)
    yield [Sql("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$", {})]
    return Outcome(200, {})


@pytest.mark.parametrize("plan", [deadlock_always, serialisation_always])
def test_after_three_repetitions_the_caller_hears_so(plan):
    by_django: list[int] = []
    with pytest.raises(OperationalError):
        run(lambda: plan(by_django))

    by_lane: list[int] = []
    with pytest.raises(Unavailable):
        through_shells([lambda: plan(by_lane)] * 2, BotFactory())

    assert (len(by_django), len(by_lane)) == (ATTEMPTS, 2 * ATTEMPTS)
    assert ATTEMPTS == 1 + 3


def test_inside_a_transaction_of_the_caller_nothing_is_run_again():
    attempts: list[int] = []

    with pytest.raises(OperationalError), transaction.atomic():
        run(lambda: deadlock_always(attempts))

    assert len(attempts) == 1


def test_services_of_the_orm_are_run_again_too():
    meeting, bots = Meeting(), [BotFactory(), BotFactory()]

    @atomic_retried
    def write(who: int) -> int:
        meeting.begin()
        Bot.objects.filter(pk=bots[who].pk).update(bot_name=f"by {who}")
        meeting.meet(who)
        Bot.objects.filter(pk=bots[1 - who].pk).update(bot_name=f"by {who}")
        return who

    assert in_threads(write) == [0, 1]
    # PostgreSQL ends one of the two, or on a busy machine both.
    assert meeting.attempts in (3, 4)


def test_a_service_inside_a_transaction_of_the_caller_is_run_once():
    attempts: list[int] = []

    @atomic_retried
    def write() -> None:
        attempts.append(1)
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")

    with pytest.raises(OperationalError), transaction.atomic():
        write()
    assert len(attempts) == 1
    with pytest.raises(OperationalError):
        write()
    assert len(attempts) == 1 + ATTEMPTS


def test_two_that_met_do_not_wait_alike(monkeypatch):
    waits = [{round(pause(attempt), 6) for _ in range(50)} for attempt in range(1, ATTEMPTS)]

    assert all(len(wait) > 40 for wait in waits)
    assert all(0 < seconds < 0.1 for wait in waits for seconds in wait)
    assert min(waits[2]) > min(waits[0])


def test_both_shells_share_the_number_of_attempts():
    assert shell_module.ATTEMPTS is retry.ATTEMPTS
