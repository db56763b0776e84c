"""The admin of configurations."""

from config_app.admin import api_keys, configurations, settings, symbols, templates

__all__ = ["api_keys", "configurations", "settings", "symbols", "templates"]
