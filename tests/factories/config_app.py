"""Settings, keys, symbols and templates."""

from decimal import Decimal
from typing import Any

from config_app.models import ExchangeApiKey, StrategyTemplate, SystemSetting, WatchedSymbol
from tests.factories.base import create, numbers


def SystemSettingFactory(**columns: Any) -> SystemSetting:  # noqa: N802
    """A setting that is a number."""
    return create(SystemSetting, columns, {"key": f"report.hour_{next(numbers)}", "value": 7})


def ExchangeApiKeyFactory(**columns: Any) -> ExchangeApiKey:  # noqa: N802
    """A key to bybit, with bytes that stand for ciphertexts."""
    defaults = {
        "exchange": "bybit",
        "label": f"key_{next(numbers)}",
        "api_key_encrypted": b"ciphertext of a key",
        "api_secret_encrypted": b"ciphertext of a secret",
        "permissions": ["read", "trade"],
    }
    return create(ExchangeApiKey, columns, defaults)


def WatchedSymbolFactory(**columns: Any) -> WatchedSymbol:  # noqa: N802
    """A pair with USDT."""
    base = f"COIN{next(numbers)}"
    defaults = {
        "symbol": f"{base}USDT",
        "base_asset": base,
        "quote_asset": "USDT",
        "timeframes": ["1m", "4h"],
        "price_precision": 2,
        "quantity_precision": 3,
        "min_notional": Decimal(5),
        "min_quantity": Decimal("0.001"),
    }
    return create(WatchedSymbol, columns, defaults)


def StrategyTemplateFactory(**columns: Any) -> StrategyTemplate:  # noqa: N802
    """A public template without an author."""
    defaults = {"name": f"Template {next(numbers)}", "template_data": {"fast": 9, "slow": 26}, "is_public": True}
    return create(StrategyTemplate, columns, defaults)
