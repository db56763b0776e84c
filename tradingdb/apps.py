"""The project package as an app: it holds the management commands and loads Celery for every Django process."""

from django.apps import AppConfig


class TradingdbConfig(AppConfig):
    name = "tradingdb"

    def ready(self) -> None:
        # Loaded here, so that a task sent by a web process knows its broker.
        import tradingdb.celery  # noqa: F401
