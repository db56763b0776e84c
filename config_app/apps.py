"""What bots are told to do: versioned configurations."""

from django.apps import AppConfig


class ConfigAppConfig(AppConfig):
    name = "config_app"
    verbose_name = "Configuration"
