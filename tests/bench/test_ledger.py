"""The ledger benchmark works: both sides tell the same facts and leave the same rows. Speed is not a test."""

import subprocess
import sys
from decimal import Decimal

import pytest

from bench import ledger
from bench.ledger_http import status_when_whole
from bench.ledger_script import OPERATIONS_PER_BATCH, Fill, Order, Script
from bench.rows import BenchRow
from bots.models import Bot


def test_two_scripts_tell_the_same_figures_and_end_flat():
    one, other = Script("one", "AUSDT"), Script("other", "BUSDT")

    (orders, fills), (_, others) = one.fills(16), other.fills(16)

    assert [(fill.price, fill.quantity, fill.fee) for fill in fills] == [(f.price, f.quantity, f.fee) for f in others]
    side = {order.order_id: order.side for order in orders}
    assert [order.side for order in orders] == ["buy", "sell", "buy", "sell"]
    assert sum(fill.quantity if side[fill.order_id] == "buy" else -fill.quantity for fill in fills) == Decimal(0)
    assert len({fill.fill_id for fill in fills}) == 16


def test_orders_are_filled_whole():
    with pytest.raises(ValueError, match="5 fills do not fill whole orders"):
        Script("one", "AUSDT").fills(5)


def test_batch_tells_of_every_order_before_its_fills():
    facts = Script("one", "AUSDT").batch()

    assert len(facts) == OPERATIONS_PER_BATCH == 100
    told = set()
    for fact in facts:
        if isinstance(fact, Order):
            told.add(fact.order_id)
        elif isinstance(fact, Fill):
            assert fact.order_id in told


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"HTTP/1.1 201 Created\r\ncontent-le", None),
        (b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{", None),
        (b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}", 201),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\nretry-after: 1\r\n\r\n{}", 503),
    ],
)
def test_answer_is_read_when_it_is_whole(data, status):
    assert status_when_whole(data) == status


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("test_database")
def test_quick_run_gives_a_row_a_case_and_leaves_nothing():
    rows = list(ledger.run(quick=True))

    assert [row["bench"] for row in rows] == ["P1", "P1", "P2", "P2", "P2", "P3", "P3", "P3", "P3"]
    assert all(set(row) == set(BenchRow.__annotations__) for row in rows)
    assert all(row["value"] > 0 for row in rows if row["unit"] != "answers")
    assert [row["value"] for row in rows if row["unit"] == "answers"] == [0]
    assert not Bot.objects.filter(bot_id__startswith="bench-").exists()


def test_unknown_case_is_refused():
    asked = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "P99"], capture_output=True, text=True, check=False
    )

    assert asked.returncode == 2
    assert "P99" in asked.stderr
