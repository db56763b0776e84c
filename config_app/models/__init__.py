"""Models of the config app, one module per aggregate."""

from config_app.models.configurations import BotConfiguration

__all__ = ["BotConfiguration"]
