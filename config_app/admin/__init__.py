"""The admin of configurations."""

from config_app.admin import configurations

__all__ = ["configurations"]
