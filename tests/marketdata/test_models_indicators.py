"""Technical indicators: what the database lets in."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import JSONField, Value

from marketdata.models import TechnicalIndicator
from tests.factories import NOON, CandleFactory, TechnicalIndicatorFactory
from tests.rules import assert_refused, assert_refused_sql

pytestmark = pytest.mark.django_db

BAD = [
    ({"parameters": [14]}, "technical_indicators_objects"),
    ({"parameters": 14}, "technical_indicators_objects"),
    # JSON's null is no SQL NULL: beside it the same value could be stored twice.
    ({"parameters": Value(None, JSONField())}, "technical_indicators_objects"),
    ({"parameters": {"note": "x" * 1000}}, "technical_indicators_short_parameters"),
    ({"indicator_name": ""}, "technical_indicators_named"),
    ({"timeframe": ""}, "technical_indicators_named"),
    ({"symbol": "BTC USDT"}, "technical_indicators_valid_symbol"),
    ({"symbol": "=BTC"}, "technical_indicators_valid_symbol"),
]


@pytest.mark.parametrize(("columns", "rule"), BAD, ids=str)
def test_bad_indicator_is_refused_by_its_rule(columns: dict[str, Any], rule: str) -> None:
    assert_refused(rule, TechnicalIndicatorFactory, **columns)


@pytest.mark.parametrize("column", ["timestamp", "created_at"])
def test_no_time_is_infinite(column: str) -> None:
    assert_refused_sql("technical_indicators_finite_times", TechnicalIndicatorFactory(), column, "infinity")


def test_no_value_is_nan() -> None:
    assert_refused_sql("technical_indicators_value_check", TechnicalIndicatorFactory(), "value", "NaN")


@pytest.mark.parametrize("parameters", [None, {}, {"period": 14}], ids=str)
def test_same_indicator_with_the_same_parameters_comes_once(parameters: dict[str, int] | None) -> None:
    TechnicalIndicatorFactory(parameters=parameters)

    # A partition's part of the rule has a name of its own.
    with pytest.raises(IntegrityError, match="duplicate key"), transaction.atomic():
        TechnicalIndicatorFactory(parameters=parameters, value=1)

    assert TechnicalIndicator.objects.get().value != 1


def test_other_parameters_exchanges_and_times_are_other_values() -> None:
    TechnicalIndicatorFactory()
    others: list[dict[str, Any]] = [
        {"parameters": None}, {"parameters": {"period": 21}}, {"exchange": "binance"}, {"symbol": "ETHUSDT"},
        {"timeframe": "4h"}, {"indicator_name": "ema"}, {"timestamp": NOON + timedelta(hours=1)},
    ]  # fmt: skip

    for columns in others:
        TechnicalIndicatorFactory(**columns)

    assert TechnicalIndicator.objects.count() == 1 + len(others)


def test_a_candle_keeps_what_takers_paid() -> None:
    row = CandleFactory(taker_buy_volume=1, taker_buy_quote_volume=100)

    row.refresh_from_db()
    assert (row.taker_buy_volume, row.taker_buy_quote_volume) == (1, 100)
