"""Order books: what the database lets in."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from marketdata.models import OrderBookSnapshot
from tests.factories import NOON, OrderBookSnapshotFactory
from tests.rules import assert_refused, assert_refused_sql

pytestmark = pytest.mark.django_db

LEVELS = "order_book_snapshots_valid_levels"
BAD = [
    ({"bids": {"99": "1"}}, "order_book_snapshots_lists"),
    ({"asks": "[]"}, "order_book_snapshots_lists"),
    ({"bids": [["99"]]}, LEVELS),
    ({"bids": [["99", "1", "2"]]}, LEVELS),
    ({"bids": ["99", "1"]}, LEVELS),
    ({"asks": [{"price": "99"}]}, LEVELS),
    ({"asks": [None]}, LEVELS),
    ({"asks": [[["99", "1"], ["98", "1"]]]}, LEVELS),
    ({"asks": [["-99", "1"]]}, LEVELS),
    ({"asks": [[-99, 1]]}, LEVELS),
    ({"asks": [["99", -1]]}, LEVELS),
    ({"asks": [["99", "NaN"]]}, LEVELS),
    ({"asks": [["Infinity", "1"]]}, LEVELS),
    ({"asks": [["1e5", "1"]]}, LEVELS),
    ({"asks": [["99", None]]}, LEVELS),
    ({"asks": [[True, "1"]]}, LEVELS),
    ({"bids": [["0", "1"]]}, LEVELS),
    ({"bids": [["0.000", "1"]]}, LEVELS),
    ({"bids": [[0, 1]]}, LEVELS),
    ({"bids": [["99", "1"], ["<b>", "1"]]}, LEVELS),
    ({"last_update_id": 0}, "order_book_snapshots_positive_id"),
    ({"last_update_id": -5}, "order_book_snapshots_positive_id"),
    ({"symbol": "btcusdt"}, "order_book_snapshots_valid_symbol"),
    ({"symbol": "BTC\u200bUSDT"}, "order_book_snapshots_valid_symbol"),
    ({"symbol": ""}, "order_book_snapshots_valid_symbol"),
]


@pytest.mark.parametrize(("columns", "rule"), BAD, ids=str)
def test_bad_book_is_refused_by_its_rule(columns: dict[str, Any], rule: str) -> None:
    assert_refused(rule, OrderBookSnapshotFactory, **columns)


@pytest.mark.parametrize("column", ["timestamp", "created_at"])
def test_no_time_is_infinite(column: str) -> None:
    assert_refused_sql("order_book_snapshots_finite_times", OrderBookSnapshotFactory(), column, "infinity")


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"bids": [], "asks": []},
        {"bids": [["0.000000000000000001", "0"]], "asks": [[100.5, 0]]},
        {"symbol": "1000000CHEEMSUSDT"},
        {"bids": [["99", "1"]] * 1000},
    ],
    ids=["plain", "empty", "small and zero", "long symbol", "deep"],
)
def test_good_book_is_stored(columns: dict[str, Any]) -> None:
    row = OrderBookSnapshotFactory(**columns)

    row.refresh_from_db()
    assert {name: getattr(row, name) for name in columns} == columns


def test_one_book_per_exchange_symbol_and_moment() -> None:
    OrderBookSnapshotFactory()

    # A partition's part of the rule has a name of its own.
    with pytest.raises(IntegrityError, match="duplicate key"), transaction.atomic():
        OrderBookSnapshotFactory(bids=[])
    OrderBookSnapshotFactory(exchange="binance")
    OrderBookSnapshotFactory(symbol="ETHUSDT")
    OrderBookSnapshotFactory(timestamp=NOON + timedelta(microseconds=1))

    assert OrderBookSnapshot.objects.count() == 4
