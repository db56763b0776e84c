"""tradingdb: the one database and control room of many trading bots."""


def setup() -> None:
    """Make the ORM and the services usable in any script, with the settings of the environment."""
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdb.settings.dev")
    django.setup()
