"""The ledger: bots, signals, orders, fills, positions, trades, balances."""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as current_apps
from django.apps.registry import Apps
from django.db.models.signals import post_migrate


class BotsConfig(AppConfig):
    name = "bots"
    verbose_name = "Trading"

    def ready(self) -> None:
        """Give the bots' role its rights, and breaches their meaning, whenever tables may have changed."""
        post_migrate.connect(grant_rights, sender=self)
        post_migrate.connect(add_limits, sender=self)


def grant_rights(*, using: str, **_: Any) -> None:
    """Take post_migrate, which is sent when every migration of every app has run."""
    from bots.services.rights import grant_bot_rights

    grant_bot_rights(using=using)


def add_limits(*, using: str, apps: Apps = current_apps, **_: Any) -> None:
    """Add the limits that every installation begins with, where there is none yet. apps: the models migrated to."""
    from bots.services.limits import risk_limits_begin

    # On the way back there comes a point without them.
    if "risklimit" in apps.all_models["bots"]:
        risk_limits_begin(using=using)
