"""Lists every setting."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from tradingdb.lib.health import row_security
from tradingdb.settings.env import REGISTRY, Setting


class Command(BaseCommand):
    help = "List every environment variable that is read: what it is, its default, what it means, its value."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        rows = [
            {
                "name": setting.name,
                "kind": setting.kind,
                "default": self._shown(setting, setting.default),
                "meaning": setting.help,
                "value": self._shown(setting, setting.value),
            }
            for setting in sorted(REGISTRY.values(), key=lambda setting: setting.name)
        ]
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            self.stdout.write(f"{row['name']}={row['value']}")
            self.stdout.write(f"    {row['meaning']}; {row['kind']}, default {row['default'] or 'none'}")
        for name, state in row_security().items():
            self.stderr.write(f"{name} {state}")

    @staticmethod
    def _shown(setting: Setting, text: str) -> str:
        return "(set)" if setting.secret and text else text
