"""Models of the config app, one module per aggregate."""

from config_app.models.api_keys import ExchangeApiKey
from config_app.models.configurations import BotConfiguration
from config_app.models.settings import SystemSetting
from config_app.models.symbols import WatchedSymbol
from config_app.models.templates import StrategyTemplate

__all__ = ["BotConfiguration", "ExchangeApiKey", "StrategyTemplate", "SystemSetting", "WatchedSymbol"]
