"""Limits under concurrency: bots that ask at the same moment are stopped exactly, and no order slips past a breach.

`ROUNDS` sets how often; `make test-limits` runs a thousand.
"""

import os
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bots.models import Bot, ControlState, Order, RiskLimit
from tests.bots.ledger_tools import add_fill, place, tell
from tests.bots.model_told import Told, ToldOrder
from tests.bots.race_shells import by_lane, by_threads
from tests.bots.rich_ledger import registered
from tests.bots.test_limits import ask, limit, now_filled
from tests.ledger_checks import assert_ledger_holds

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = int(os.environ.get("ROUNDS", "40"))
SHELLS = {"threads": by_threads, "lane": by_lane}


def bots(count: int) -> list[Bot]:
    return [registered(f"limit_{uuid.uuid4().hex[:12]}", max_positions=100, leverage_limit=20) for _ in range(count)]


def orders(round_: int, bot: int, symbols: Sequence[str]) -> list[Told]:
    return [
        ToldOrder(f"r{round_}-{number}", symbol, "buy" if bot % 2 else "sell", Decimal(1),
                  order_type="limit", price=Decimal(100), intent="request")
        for number, symbol in enumerate(symbols)
    ]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_three_bots_at_once_are_stopped_exactly(settings: Any, shell: str) -> None:
    """Nine units of 100 under a limit of 500 in a symbol: five are admitted, whatever the order in which they come."""
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"
    three = bots(3)
    limit("gross_exposure", "500")
    for round_ in range(max(1, ROUNDS // 20)):
        symbol = f"R{round_}USDT"

        def write(place: int, symbol: str = symbol, round_: int = round_) -> None:
            try:
                SHELLS[shell](three[place], [orders(round_, place, [symbol] * 3)])
            finally:
                connection.close()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(write, range(3)))
        found = Order.objects.filter(symbol=symbol).order_by().values_list("status", flat=True)
        assert sorted(found) == ["pending"] * 5 + ["rejected"] * 4, round_
    assert_ledger_holds()


def test_limits_of_symbols_and_of_all_together_never_wait_for_each_other() -> None:
    """Two symbols in either order, under limits for each and for all: no deadlock, and the sum is exact."""
    three = bots(3)
    limit("gross_exposure", "400")
    limit("gross_exposure", "600", scope="all")
    limit("net_exposure", "600", scope="base_asset", target="*")
    for round_ in range(max(1, ROUNDS // 20)):
        pair = [f"A{round_}USDT", f"B{round_}USDT"]

        def write(place: int, pair: list[str] = pair, round_: int = round_) -> None:
            try:
                by_threads(three[place], [orders(round_, place, pair[:: 1 if place % 2 else -1] * 2)])
            finally:
                connection.close()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(write, range(3)))
        assert Order.objects.filter(symbol__in=pair, status="pending").count() == 6
        for order in Order.objects.filter(symbol__in=pair, status="pending").select_related("bot"):
            tell(order.bot, order.order_id, status="cancelled")
    assert_ledger_holds()


def test_no_order_slips_past_a_fill_that_broke_a_limit() -> None:
    """The order is asked for as soon as the fill's call has returned, by another thread that waits for just that."""
    slips = []
    made = bots(2)
    limit("gross_exposure", "1000", action="REDUCING")
    row = RiskLimit.objects.get(kind="gross_exposure")
    # What could be admitted by its own size is refused by the state alone, also in another symbol.
    for round_ in range(ROUNDS):
        breaking, other = made[round_ % 2], f"X{round_}USDT"
        symbol, done = f"S{round_}USDT", threading.Event()
        place(breaking, f"in{round_}", "buy", "11", symbol=symbol)

        def fill(bot: Bot = breaking, number: int = round_, done: threading.Event = done) -> None:
            try:
                add_fill(bot, f"f{number}", f"in{number}", "100", "11", executed_at=timezone.now().isoformat())
            finally:
                done.set()
                connection.close()

        def request(
            bot: Bot = breaking, number: int = round_, other: str = other, done: threading.Event = done
        ) -> list[str]:
            try:
                connection.ensure_connection()
                done.wait()
                return ask(bot, f"next{number}", "buy", "0.1", symbol=other)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            asked, filled = pool.submit(request), pool.submit(fill)
            filled.result()
            if asked.result() != ["control_state"]:
                slips.append((round_, asked.result()))
        # Out again, and let go.
        now_filled(breaking, f"out{round_}", "sell", "11", symbol=symbol)
        ControlState.objects.filter(target=breaking.bot_id).update(state="ACTIVE")
    assert slips == []
    assert row.limit_value == 1000
    assert_ledger_holds()
