"""manage.py key_status: the keys of secrets in rows, and how many rows are under each."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from config_app.services.field_keys import keys_status


class Command(BaseCommand):
    help = "List the versions in FIELD_KEY_FILE with the rows under each; exit 1 when rows need a key that it lacks."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        try:
            status = keys_status()
        except ImproperlyConfigured as e:
            raise CommandError(str(e)) from e
        if as_json:
            self.stdout.write(json.dumps(status, indent=1))
        else:
            for each in status["versions"]:
                rows = ", ".join(f"{number} of {table}" for table, number in each["rows"].items())
                word = "current" if each["is_current"] else "free" if each["version"] in status["free"] else "kept"
                self.stdout.write(f"version {each['version']} ({each['check']}) {word}: {rows or 'no tables yet'}")
        if status["unknown"]:
            self.stderr.write(f"{status['unknown']} secrets are no ciphertexts of ours.")
        if status["problems"]:
            raise CommandError(" ".join(status["problems"]))
