"""Asks the ledger whether it holds."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.services.invariants.run import broken, invariants, invariants_verify


class Command(BaseCommand):
    help = "Run every invariant over the whole ledger, with the exact replay. Exit 0: all is well, 1: something is not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the report as JSON")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        report = invariants_verify()
        if as_json:
            self.stdout.write(json.dumps(report))
        else:
            for one in invariants():
                found = report["invariants"][one.name]
                self.stdout.write(f"{found['count'] or 'ok':>6}  {one.name}")
                if found["count"]:
                    self.stdout.write(f"        {one.meaning}")
                for row in found["rows"]:
                    self.stdout.write("        " + ", ".join(f"{name} {value}" for name, value in row.items()))
        red = broken(report)
        if red:
            raise CommandError(f"{len(red)} of {len(report['invariants'])} invariants are broken.")
        if not as_json:
            self.stdout.write(f"All {len(report['invariants'])} invariants hold.")
