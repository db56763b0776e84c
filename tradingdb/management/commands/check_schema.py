"""Asks whether the database is what the models say."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tradingdb.management.drift import schema_differences


class Command(BaseCommand):
    help = "Compare the migrated database with the models and name every difference. Exit 0: there is none, 1: some."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the differences as JSON")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        found = schema_differences()
        if as_json:
            self.stdout.write(json.dumps({"differences": [each._asdict() for each in found]}))
        else:
            for each in found:
                self.stdout.write(str(each))
        if found:
            raise CommandError(f"The database differs from the models in {len(found)} places.")
        if not as_json:
            self.stdout.write("The database is what the models say.")
