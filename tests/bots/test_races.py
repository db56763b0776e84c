"""Writers at the same moment, through every shell: each fact counts once, and the books are the model's.

The model hears the facts in the order in which the ledger took them; that there is such an order is what a race
must not break.
"""

import asyncio
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import permutations
from typing import Any

import httpx
import pytest
from django.db import connection

from audit.services.actions import SYSTEM
from bots.models import Bot, Fill, Order
from bots.services.control import control_set
from bots.services.tokens import token_create
from tests.bots.model_compare import differences, stored
from tests.bots.model_driver import say
from tests.bots.model_ledger import Answer, ModelLedger
from tests.bots.model_told import Told, ToldFill, ToldNews, ToldOrder
from tests.bots.race_shells import Shell, by_lane, by_threads, lane_of, processes, say_by_lane
from tests.bots.rich_ledger import registered
from tests.ledger_checks import assert_ledger_holds

pytestmark = pytest.mark.django_db(transaction=True)
ONE = Decimal(1)


@pytest.fixture(scope="module")
def by_processes(django_db_setup: None, django_db_blocker: Any) -> Iterator[Shell]:
    """Writers in processes, started once."""
    with django_db_blocker.unblock(), processes() as shell:
        connection.close()
        yield shell


@pytest.fixture(params=["threads", "processes", "lane"])
def at_once(request: pytest.FixtureRequest, settings: Any) -> Shell:
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"
    if request.param == "processes":
        shell: Shell = request.getfixturevalue("by_processes")
        return shell
    return by_threads if request.param == "threads" else by_lane


@pytest.fixture
def bot(db: None) -> Bot:
    return registered(f"race_{uuid.uuid4().hex[:12]}", max_positions=3, leverage_limit=20)


def order(order_id: str, side: str = "buy", quantity: str = "1000", symbol: str = "BTCUSDT", **more: Any) -> ToldOrder:
    return ToldOrder(order_id, symbol, side, Decimal(quantity), **more)


def fill(
    fill_id: str, order_id: str, quantity: str = "1", at: float = 0, price: str = "100.1", **more: Any
) -> ToldFill:
    return ToldFill(fill_id, order_id, Decimal(price), Decimal(quantity), at, **more)


def books_equal(bot: Bot, heard: Sequence[Told]) -> list[str]:
    """Return what differs when the model hears these facts in this order."""
    model = ModelLedger({}, max_positions=3, leverage_limit=20)
    for fact in heard:
        model.hear(fact)
    return differences(model.picture(), stored(bot))


def assert_books(bot: Bot, before: Sequence[Told], raced: Sequence[Told]) -> None:
    """The books are the model's, which hears the fills in the order of their rows and everything else before them."""
    place = {
        fill_id: n
        for n, fill_id in enumerate(Fill.objects.filter(bot=bot).order_by("id").values_list("fill_id", flat=True))
    }
    heard = sorted(raced, key=lambda fact: place.get(fact.fill_id, -1) if isinstance(fact, ToldFill) else -1)
    assert books_equal(bot, [*before, *heard]) == []
    assert_ledger_holds()


def assert_books_in_some_order(bot: Bot, before: Sequence[Told], raced: Sequence[Told]) -> None:
    """The books are those of one of the orders in which the facts could have come."""
    tried = [books_equal(bot, [*before, *heard]) for heard in permutations(raced)]
    assert [] in tried, min(tried, key=len)
    assert_ledger_holds()


def prepare(bot: Bot, facts: Sequence[Told]) -> None:
    for fact in facts:
        say(bot.bot_id, fact)


def statuses(answers: Sequence[Sequence[Answer]]) -> Counter[int]:
    return Counter(answer.status for one in answers for answer in one)


def test_one_fill_from_eight_connections_counts_once(bot: Bot, at_once: Shell) -> None:
    before = [order("o1")]
    prepare(bot, before)
    facts = [fill(f"f{number}", "o1", at=number % 3) for number in range(6)]

    answers = at_once(bot, [facts[number % 6 :] + facts[: number % 6] for number in range(8)])

    assert statuses(answers) == {201: 6, 200: 42}
    assert_books(bot, before, facts)


def test_different_fills_of_one_order_add_up_and_what_is_too_much_is_flagged_once(bot: Bot, at_once: Shell) -> None:
    before = [order("o1", quantity="20")]
    prepare(bot, before)
    facts = [fill(f"f{number:02}", "o1", at=number % 5, price=f"{100 + number}.7", fee=ONE) for number in range(24)]

    answers = at_once(bot, [facts[number::8] for number in range(8)])

    assert statuses(answers) == {201: 24}
    assert sum("overfill" in answer.flags for one in answers for answer in one) == 4
    assert_books(bot, before, facts)


def test_fills_of_one_symbol_across_orders_fold_into_one_chain(bot: Bot, at_once: Shell) -> None:
    """Both sides, so that positions open, close and flip while they are written."""
    before = [order(f"o{number}", side="buy" if number % 2 else "sell") for number in range(8)]
    prepare(bot, before)
    facts = [
        fill(f"f{number:02}", f"o{number % 8}", f"{1 + number % 3}.3", at=number // 2, price=f"{90 + number}", fee=ONE)
        for number in range(32)
    ]

    answers = at_once(bot, [facts[number::8] for number in range(8)])

    assert statuses(answers) == {201: 32}
    assert_books(bot, before, facts)


def test_a_cancel_against_a_fill_leaves_what_one_after_the_other_leaves(bot: Bot, at_once: Shell) -> None:
    raced: list[Told] = [
        fill("f1", "o1", "1", at=3),
        fill("f2", "o1", "1", at=9),
        ToldNews("o1", "cancelled", 5),
        ToldNews("o1", "submitted", 1),
    ]
    before = [order("o1", quantity="2.5")]
    prepare(bot, before)

    answers = at_once(bot, [[fact] for fact in raced])

    assert statuses(answers) == {201: 2, 200: 2}
    assert_books_in_some_order(bot, before, raced)


def test_an_order_against_the_facts_that_wait_for_it(bot: Bot, at_once: Shell) -> None:
    raced: list[Told] = []
    for number in range(6):
        name = f"o{number}"
        raced += [order(name, "buy" if number % 2 else "sell", "2", symbol=f"S{number}USDT")]
        raced += [
            fill(f"{name}-1", name, at=1),
            fill(f"{name}-2", name, at=2),
            ToldNews(name, None, 0, retry_count=number),
        ]

    answers = at_once(bot, [raced[number::4] for number in range(4)])

    assert set(statuses(answers)) <= {200, 201, 202}
    assert stored(bot)["parked"] == {}
    assert_books(bot, [], raced)


def test_a_flip_against_a_flip(bot: Bot, at_once: Shell) -> None:
    before = [order("in"), fill("f0", "in", "1"), order("s", "sell"), order("b", "buy")]
    prepare(bot, before)
    raced = [
        *(fill(f"s{number}", "s", "3", at=2 * number - 1, fee=ONE) for number in range(1, 5)),
        *(fill(f"b{number}", "b", "3", at=2 * number, fee=ONE) for number in range(1, 5)),
    ]

    answers = at_once(bot, [[fact] for fact in raced])

    assert statuses(answers) == {201: 8}
    assert Fill.objects.filter(bot=bot, opened_position_id__isnull=False).count() == 8
    assert_books(bot, before, raced)


def test_one_order_many_times_and_other_contents_under_its_id(bot: Bot, at_once: Shell) -> None:
    raced: list[Told] = [order("o1", quantity="1")] * 4 + [order("o1", quantity="2")] * 4

    answers = at_once(bot, [[fact] for fact in raced])

    assert statuses(answers) == {201: 1, 200: 3, 409: 4}
    first = [fact for fact in raced if fact.quantity == Order.objects.get(bot=bot).quantity]  # type: ignore[union-attr]
    assert books_equal(bot, [*first, *(fact for fact in raced if fact not in first)]) == []
    assert_ledger_holds()


def test_one_execution_under_many_fill_ids(bot: Bot, at_once: Shell) -> None:
    before = [order("o1")]
    prepare(bot, before)
    raced = [fill(f"f{number}", "o1", exchange_trade_id="x1") for number in range(8)]

    answers = at_once(bot, [[fact] for fact in raced])

    assert statuses(answers) == {201: 1, 409: 7}
    kept = Fill.objects.get(bot=bot).fill_id
    assert books_equal(bot, [*before, *sorted(raced, key=lambda fact: fact.fill_id != kept)]) == []
    assert_ledger_holds()


def test_requests_in_many_symbols_never_open_more_than_the_limit(bot: Bot, at_once: Shell) -> None:
    raced = [order(f"o{number}", symbol=f"S{number}USDT", intent="request") for number in range(8)]

    answers = at_once(bot, [[fact] for fact in raced])

    assert statuses(answers) == {201: 3, 409: 5}
    admitted = [fact for fact, (answer,) in zip(raced, answers, strict=True) if answer.status == 201]
    assert books_equal(bot, [*admitted, *(fact for fact in raced if fact not in admitted)]) == []
    assert_ledger_holds()


def test_no_request_that_begins_after_a_halt_is_admitted(bot: Bot) -> None:
    """Each writer notes whether the halt was in force before it asked; those must all hear no."""
    halted, asked = threading.Event(), threading.Event()

    def ask(writer: int) -> list[tuple[bool, Answer]]:
        answers = []
        try:
            # Three requests after the halt, however long it takes to come.
            after, number = 0, 0
            while after < 3:
                was_halted = halted.is_set()
                told = order(f"w{writer}-{number}", intent="request")
                answers.append((was_halted, say(bot.bot_id, told)))
                asked.set()
                after, number = after + was_halted, number + 1
        finally:
            connection.close()
        return answers

    def halt() -> None:
        try:
            asked.wait()
            control_set(scope="bot", target=bot.bot_id, state="HALTED", reason="enough", actor=SYSTEM)
            halted.set()
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        halting = pool.submit(halt)
        answers = [answer for one in pool.map(ask, range(4)) for answer in one]
        halting.result()

    assert_halt_obeyed(bot, answers)


def test_no_request_over_the_lane_that_begins_after_a_halt_is_admitted(bot: Bot) -> None:
    token = token_create(bot_id=bot.bot_id, actor=SYSTEM).token

    async def ask(
        client: httpx.AsyncClient, writer: int, asked: asyncio.Event, halted: asyncio.Event
    ) -> list[tuple[bool, Answer]]:
        answers: list[tuple[bool, Answer]] = []
        while sum(was_halted for was_halted, _ in answers) < 3:
            was_halted = halted.is_set()
            told = order(f"w{writer}-{len(answers)}", intent="request")
            answers.append((was_halted, await say_by_lane(client, told)))
            asked.set()
        return answers

    def halt() -> None:
        control_set(scope="bot", target=bot.bot_id, state="HALTED", reason="enough", actor=SYSTEM)
        connection.close()

    async def drive() -> tuple[list[tuple[bool, Answer]], str]:
        asked, halted = asyncio.Event(), asyncio.Event()
        async with lane_of(token) as client:
            asking = [asyncio.create_task(ask(client, writer, asked, halted)) for writer in range(4)]
            await asked.wait()
            await asyncio.to_thread(halt)
            halted.set()
            permit = await client.get("/api/v1/permit")
            return [answer for one in await asyncio.gather(*asking) for answer in one], permit.json()["state"]

    answers, permit = asyncio.run(drive())

    assert permit == "HALTED"
    assert_halt_obeyed(bot, answers)


def assert_halt_obeyed(bot: Bot, answers: Sequence[tuple[bool, Answer]]) -> None:
    """Who asked after the halt was refused; some were admitted before it; what is stored is what was answered."""
    heard = [answer for _, answer in answers]
    assert {answer.status for was_halted, answer in answers if was_halted} == {409}
    assert 201 in statuses([heard])
    assert Order.objects.filter(bot=bot, status="rejected").count() == statuses([heard])[409]
    assert Order.objects.filter(bot=bot).count() == len(heard)
    assert_ledger_holds()
