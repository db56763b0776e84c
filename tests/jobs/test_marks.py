"""Marks: open positions at the prices that Redis holds, exact, and never worse than what is known."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from bots.ledger.fold import fraction
from bots.live import keys
from bots.live.client import sync_client
from bots.models import Position
from bots.services.marks import positions_mark
from tests.factories import NOON, PositionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_keys(settings: Any) -> Iterator[None]:
    settings.REDIS_PREFIX = f"test-marks-{uuid4().hex}:"
    yield
    for key in sync_client().scan_iter(f"{settings.REDIS_PREFIX}*"):
        sync_client().delete(key)


def price(symbol: str, value: str, minutes: float = 1) -> None:
    """The price of a symbol, some minutes after the fills of the positions here."""
    data = {"price": value, "timestamp": (NOON + timedelta(minutes=minutes)).isoformat()}
    sync_client().set(keys.price(symbol), json.dumps(data), ex=60)


def position(**columns: Any) -> Position:
    columns.setdefault("marked_at", NOON)
    return PositionFactory(**columns)


def test_marks_are_exact_to_the_last_digit_for_longs_and_shorts() -> None:
    long = position(size=Decimal("0.000000000000000003"), avg_entry_price=Decimal("0.1"), current_price=Decimal(1))
    short = position(symbol="ETHUSDT", side="short", size=Decimal("1.5"), avg_entry_price=Decimal(2000))
    price("BTCUSDT", "123456789012345678.123456789012345678")
    price("ETHUSDT", "2100.5")

    assert positions_mark() == 2

    long.refresh_from_db()
    short.refresh_from_db()
    # Price x size less 0.000000000000000003 x 0.1, all 36 decimals.
    assert long.unrealized_pnl == Decimal("0.370370367037037034070370367037037034")
    assert long.total_pnl == long.unrealized_pnl
    # 3000 - 1.5 x 2100.5 = -150.75 of 3000.
    assert (short.unrealized_pnl, short.unrealized_pnl_pct) == (Decimal("-150.75"), Decimal("-0.05025"))
    assert (short.current_price, short.marked_at) == (Decimal("2100.5"), NOON + timedelta(minutes=1))


@pytest.mark.parametrize(("cost", "value"), [("3", "4"), ("7", "0.000001"), ("0.000000000001", "9")])
def test_the_share_is_what_the_fold_computes(cost: str, value: str) -> None:
    held = position(avg_entry_price=Decimal(cost))
    price("BTCUSDT", value)

    positions_mark()

    held.refresh_from_db()
    assert held.unrealized_pnl == Decimal(value) - Decimal(cost)
    assert held.unrealized_pnl_pct == fraction(held.unrealized_pnl, held.cost_basis)


def test_highest_and_lowest_follow_and_facts_stay() -> None:
    held = position()
    for minute, value in enumerate(("105", "95", "101"), start=1):
        price("BTCUSDT", value, minute)
        assert positions_mark() == 1

    marked = Position.objects.get()
    assert (marked.highest_price, marked.lowest_price, marked.current_price) == (105, 95, 101)
    assert (marked.version, marked.size, marked.cost_basis, marked.realized_pnl) == (held.version, 1, 100, 0)


def test_an_unknown_price_leaves_the_position_as_it_is() -> None:
    position(current_price=Decimal(90), unrealized_pnl=Decimal(-10))
    position(symbol="ETHUSDT", current_price=Decimal(90), unrealized_pnl=Decimal(-10))
    price("ETHUSDT", "80")

    assert positions_mark() == 1

    untouched = Position.objects.get(symbol="BTCUSDT")
    assert (untouched.current_price, untouched.unrealized_pnl, untouched.marked_at) == (90, -10, NOON)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"price": "NaN", "timestamp": "2026-11-19T13:00:00Z"}',
                                  '{"price": "0", "timestamp": "2026-11-19T13:00:00Z"}', '{"price": "1"}',
                                  '{"price": "1", "timestamp": "2026-11-19T13:00:00"}', '"\\u0000"'])  # fmt: skip
def test_what_is_no_price_is_no_price(text: str) -> None:
    position(current_price=Decimal(90))
    sync_client().set(keys.price("BTCUSDT"), text)

    assert positions_mark() == 0

    assert Position.objects.get().current_price == 90


def test_an_older_or_the_same_price_changes_nothing() -> None:
    position(current_price=Decimal(90), marked_at=NOON + timedelta(minutes=1))
    price("BTCUSDT", "80", minutes=1)

    assert positions_mark() == 0
    price("BTCUSDT", "80", minutes=0.5)
    assert positions_mark() == 0

    assert Position.objects.get().current_price == 90


def test_closed_positions_are_history() -> None:
    position(size=Decimal(0), quantity=Decimal(1), status="closed", closed_at=NOON, cost_basis=Decimal(0))
    price("BTCUSDT", "80")

    assert positions_mark() == 0


@pytest.mark.django_db(transaction=True)
def test_a_position_that_a_fill_is_changing_is_passed_over_without_waiting() -> None:
    busy, free = position(), position()
    price("BTCUSDT", "80")

    def mark() -> int:
        try:
            return positions_mark()
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        Position.objects.filter(pk=busy.pk).update(size=Decimal(2), cost_basis=Decimal(200))
        assert pool.submit(mark).result(timeout=20) == 1

    free.refresh_from_db()
    assert (free.unrealized_pnl, positions_mark()) == (-20, 1)
    busy.refresh_from_db()
    assert busy.unrealized_pnl == -40
