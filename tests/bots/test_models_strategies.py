"""Strategies: what the database lets in, and what staff do with them."""

import uuid
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import JSONField, Value

from bots.models import Strategy
from tests.factories import StrategyFactory
from tests.rules import assert_refused, assert_refused_sql

pytestmark = pytest.mark.django_db

BAD = [
    ({"type": "astrology"}, "strategies_valid_type"),
    ({"status": "Active"}, "strategies_valid_status"),
    ({"name": ""}, "strategies_named"),
    ({"name": " \t"}, "strategies_named"),
    ({"parameters": [1]}, "strategies_objects"),
    ({"parameters": "fast=9"}, "strategies_objects"),
    ({"risk_parameters": 5}, "strategies_objects"),
    ({"parameters": Value(None, JSONField())}, "strategies_objects"),
    ({"performance_metrics": ["sharpe"]}, "strategies_metrics_object"),
    ({"symbols": {"0": "BTCUSDT"}}, "strategies_lists"),
    ({"timeframes": "15m"}, "strategies_lists"),
    ({"symbols": ["BTCUSDT", "btcusdt"]}, "strategies_valid_symbols"),
    ({"symbols": ["BTC\u200bUSDT"]}, "strategies_valid_symbols"),
    ({"symbols": ["=1+1"]}, "strategies_valid_symbols"),
    ({"symbols": ["BTCUSDT\n"]}, "strategies_valid_symbols"),
    ({"symbols": [7]}, "strategies_valid_symbols"),
    ({"symbols": [None]}, "strategies_valid_symbols"),
    ({"symbols": [["BTCUSDT"]]}, "strategies_valid_symbols"),
    ({"timeframes": [""]}, "strategies_valid_timeframes"),
    ({"timeframes": [15]}, "strategies_valid_timeframes"),
    ({"timeframes": [["15m"]]}, "strategies_valid_timeframes"),
]


@pytest.mark.parametrize(("columns", "rule"), BAD, ids=str)
def test_bad_strategy_is_refused_by_its_rule(columns: dict[str, Any], rule: str) -> None:
    assert_refused(rule, StrategyFactory, **columns)


@pytest.mark.parametrize("column", ["last_run_at", "created_at", "updated_at"])
def test_no_time_is_infinite(column: str) -> None:
    assert_refused_sql("strategies_finite_times", StrategyFactory(), column, "-infinity")


@pytest.mark.parametrize("columns", [{}, {"symbols": [], "timeframes": []}, {"symbols": ["ETH/USDT:USDT"]},
                                     {"performance_metrics": {"sharpe": "1.2"}}], ids=str)  # fmt: skip
def test_good_strategy_is_stored(columns: dict[str, Any]) -> None:
    row = StrategyFactory(**columns)

    row.full_clean()
    row.refresh_from_db()
    assert {name: getattr(row, name) for name in columns} == columns


def test_a_form_is_told_what_is_wrong() -> None:
    with pytest.raises(ValidationError) as caught:
        Strategy(name="x", type="ml_based", symbols=["BTC USDT"], timeframes="1m").full_clean()

    text = str(caught.value)
    assert "symbols: each must be a symbol, such as BTCUSDT." in text
    assert "symbols, timeframes: a JSON list is expected." in text


def test_the_name_is_unique() -> None:
    StrategyFactory(name="Momentum")

    assert_refused("strategies_name_key", StrategyFactory, name="Momentum")


def test_a_row_written_by_sql_gets_id_times_and_status() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO trading.strategies (name, type) VALUES ('By SQL', 'mean_reversion') RETURNING id")
        (pk,) = cursor.fetchone()

    row = Strategy.objects.get(name="By SQL")
    assert isinstance(pk, uuid.UUID)
    assert (row.pk, row.status, row.parameters, row.symbols) == (pk, "inactive", {}, [])
    assert row.created_at is not None
