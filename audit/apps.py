"""What happened: events, risk events, logs, load, health, and every action of a person."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        # Imported for its receivers.
        import audit.background
        import audit.logins  # noqa: F401
