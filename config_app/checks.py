"""Checks of the key file: the file itself with every command, and against the rows where a database is looked at."""

import logging
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags

from config_app.services.field_keys import KeysUnfit, field_keys_require, unfit
from tradingdb.lib.keyring import KeyFileError, load

logger = logging.getLogger(__name__)

BAD_FILE = "config_app.E001"
LACKING_KEY = "config_app.E002"


def check_file(app_configs: Any = None, **options: Any) -> list[CheckMessage]:
    """Say what is wrong with the key file; one that nobody named is the database's business."""
    if settings.FIELD_KEY_FILE is None:
        return []
    try:
        load(settings.FIELD_KEY_FILE)
    except KeyFileError as e:
        return [Error(str(e), id=BAD_FILE)]
    return []


def check_rows(app_configs: Any = None, databases: Sequence[str] | None = None, **options: Any) -> list[CheckMessage]:
    """Say which keys rows need that the file lacks: with `migrate`, and with `check --database default`."""
    if not databases or "default" not in databases or check_file():
        return []
    return [Error(problem, id=LACKING_KEY) for problem in unfit()]


def refuse_start(**sender: Any) -> None:
    """End a process that starts with a key file that must not be used, with one sentence."""
    try:
        field_keys_require()
    except KeysUnfit as e:
        logger.critical("%s", e)
        raise SystemExit(str(e)) from None


CHECKS = ((check_file, "keys"), (check_rows, Tags.database))
