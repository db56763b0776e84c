"""What bots are told to do: versioned configurations."""

from celery.signals import beat_init, worker_init
from django.apps import AppConfig
from django.core.checks import register


class ConfigAppConfig(AppConfig):
    name = "config_app"
    verbose_name = "Configuration"

    def ready(self) -> None:
        """Look at the keys of secrets before anything starts; the web server asks when it opens."""
        from config_app.checks import CHECKS, refuse_start

        for check, tag in CHECKS:
            register(check, tag)
        worker_init.connect(refuse_start)
        beat_init.connect(refuse_start)
