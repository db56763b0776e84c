"""What happened: events, risk events, logs, load, health, and every action of a person."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        """Record what people do and what changes; the trail's triggers follow their list with every migration."""
        # Imported for its receivers.
        import audit.background
        import audit.logins
        import audit.trail.meters  # noqa: F401

        post_migrate.connect(install_trail, sender=self)


def install_trail(*, using: str, **_: Any) -> None:
    """Take post_migrate, which is sent when every migration of every app has run."""
    from audit.trail.triggers import install

    install(using=using)
