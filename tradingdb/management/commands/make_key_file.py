"""manage.py make_key_file: the first key of secrets in rows."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tradingdb.lib.keyring import KeyFileError, new_keyring, store


class Command(BaseCommand):
    help = "Make the file with the keys of secrets in rows, with one new key, readable by its owner only."
    # It mends what they complain of.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, nargs="?", help="where; FIELD_KEY_FILE unless given")

    def handle(self, *, path: Path | None, **options: Any) -> None:
        path = path or settings.FIELD_KEY_FILE
        if path is None:
            raise CommandError("Name a path, or set FIELD_KEY_FILE.")
        if path.exists():
            raise CommandError(f"{path} is there already; rotate_keys adds a key to it.")
        try:
            store(path, new_keyring())
        except KeyFileError as e:
            raise CommandError(str(e)) from e
        self.stdout.write(f"{path} made; keep a copy of it apart from the database and its backups.")
