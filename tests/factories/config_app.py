"""Settings, keys, symbols and templates."""

from decimal import Decimal
from typing import Any

from django.db import connection

from config_app.models import ExchangeApiKey, StrategyTemplate, SystemSetting, WatchedSymbol
from config_app.services.api_keys import TABLE, fingerprint
from tests.factories.base import NOON, create, numbers
from tradingdb.lib.crypto import Place, encrypt, keyring


def SystemSettingFactory(**columns: Any) -> SystemSetting:  # noqa: N802
    """A setting that is a number."""
    return create(SystemSetting, columns, {"key": f"report.hour_{next(numbers)}", "value": 7})


API_KEY, API_SECRET = "key-of-the-factory", "secret-of-the-factory"


def ExchangeApiKeyFactory(**columns: Any) -> ExchangeApiKey:  # noqa: N802
    """A key to bybit that opens."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('config.api_keys', 'id'))")
        pk = columns.get("id") or cursor.fetchone()[0]
    defaults = {
        "id": pk,
        "exchange": "bybit",
        "label": f"key_{next(numbers)}",
        "api_key_encrypted": encrypt(API_KEY.encode(), at=Place(TABLE, pk, "api_key_encrypted")),
        "api_secret_encrypted": encrypt(API_SECRET.encode(), at=Place(TABLE, pk, "api_secret_encrypted")),
        "key_fingerprint": fingerprint(API_KEY),
        "key_version": keyring().current_version,
        "key_set_at": NOON,
        "key_set_by": "admin@example.com",
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
