"""What the tables of settings, keys, symbols and templates refuse."""

from decimal import Decimal

import pytest

from tests.factories import (
    NOON,
    ExchangeApiKeyFactory,
    StrategyTemplateFactory,
    SystemSettingFactory,
    WatchedSymbolFactory,
)
from tests.rules import assert_refused, assert_refused_sql

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("factory", "columns", "rule"),
    [
        (SystemSettingFactory, {"key": ""}, "system_settings_valid_key"),
        (SystemSettingFactory, {"key": "two words"}, "system_settings_valid_key"),
        (SystemSettingFactory, {"key": "line\n"}, "system_settings_valid_key"),
        (ExchangeApiKeyFactory, {"label": ""}, "api_keys_named"),
        (ExchangeApiKeyFactory, {"exchange": ""}, "api_keys_named"),
        (WatchedSymbolFactory, {"symbol": "btcusdt"}, "watched_symbols_valid_symbol"),
        (WatchedSymbolFactory, {"symbol": "BTC\u200bUSDT"}, "watched_symbols_valid_symbol"),
        (WatchedSymbolFactory, {"symbol": "=1+1"}, "watched_symbols_valid_symbol"),
        (WatchedSymbolFactory, {"base_asset": "b"}, "watched_symbols_valid_assets"),
        (WatchedSymbolFactory, {"quote_asset": ""}, "watched_symbols_valid_assets"),
        (WatchedSymbolFactory, {"base_asset": "USDT"}, "watched_symbols_valid_assets"),
        (WatchedSymbolFactory, {"timeframes": ["1 minute"]}, "watched_symbols_valid_timeframes"),
        (WatchedSymbolFactory, {"timeframes": "1m"}, "watched_symbols_valid_timeframes"),
        (WatchedSymbolFactory, {"timeframes": {"1m": True}}, "watched_symbols_valid_timeframes"),
        (WatchedSymbolFactory, {"price_precision": -1}, "watched_symbols_valid_precision"),
        (WatchedSymbolFactory, {"quantity_precision": -1}, "watched_symbols_valid_precision"),
        (WatchedSymbolFactory, {"price_precision": 19}, "watched_symbols_valid_precision"),
        (WatchedSymbolFactory, {"min_notional": Decimal(-1)}, "watched_symbols_minimums_not_negative"),
        (WatchedSymbolFactory, {"min_quantity": Decimal(-1)}, "watched_symbols_minimums_not_negative"),
        (StrategyTemplateFactory, {"name": ""}, "strategy_templates_named"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_row_that_breaks_one_rule_is_refused_by_it(factory, columns, rule):
    assert_refused(rule, factory, **columns)


@pytest.mark.parametrize(
    ("factory", "columns"),
    [
        (SystemSettingFactory, ["created_at", "updated_at"]),
        (ExchangeApiKeyFactory, ["created_at", "updated_at", "last_used_at"]),
        (WatchedSymbolFactory, ["created_at", "updated_at"]),
        (StrategyTemplateFactory, ["created_at", "updated_at"]),
    ],
)
def test_a_time_without_end_is_refused(factory, columns):
    row = factory()

    for column in columns:
        for value in ("infinity", "-infinity"):
            assert_refused_sql(f"{row._meta.db_table}_finite_times", row, column, value)


def test_minimums_are_numbers():
    row = WatchedSymbolFactory()

    for column in ("min_notional", "min_quantity"):
        assert_refused_sql(f"watched_symbols_{column}_check", row, column, "NaN")


def test_real_symbols_and_their_smallest_steps_are_accepted():
    for symbol, base in (("1000000CHEEMSUSDT", "1000000CHEEMS"), ("ETH/USDT:USDT", "ETH"), ("4USDT", "4")):
        WatchedSymbolFactory(symbol=symbol, base_asset=base, timeframes=[], price_precision=18, min_quantity=0)


def test_a_label_is_used_once_at_an_exchange():
    ExchangeApiKeyFactory(exchange="bybit", label="main", last_used_at=NOON)
    ExchangeApiKeyFactory(exchange="binance", label="main")

    assert_refused("api_keys_unique_label", ExchangeApiKeyFactory, exchange="bybit", label="main")


def test_a_symbol_is_watched_once():
    WatchedSymbolFactory(symbol="BTCUSDT", base_asset="BTC")

    assert_refused("watched_symbols_symbol_key", WatchedSymbolFactory, symbol="BTCUSDT", base_asset="BTC")


def test_a_setting_has_one_value():
    SystemSettingFactory(key="a")

    assert_refused("system_settings_key_key", SystemSettingFactory, key="a")
