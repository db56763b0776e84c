"""Writes docs/settings.md from the settings that are read."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tradingdb.settings.env import REGISTRY, Setting

PAGE = settings.BASE_DIR / "docs" / "settings.md"
# Read outside the Django settings: by the supervisor, before Django starts, and by the demo.
BESIDE = {
    "ADMIN_DATABASE_URL": "login that may create roles, for `manage.py bot_login`; the embedded server has one",
    "CANDLES": "folder of candles that the demo replays instead of its own sample",
    "DISK_RESERVE_MB": "free room in MiB below which the embedded PostgreSQL is read-only; 64 by default, 0 is never",
    "DJANGO_SETTINGS_MODULE": "settings module: tradingdb.settings.dev (the default), .prod or .test",
    "SPEED": "how many times faster than real the demo replays candles",
    "TRADINGDB_PG_BIN": "folder of PostgreSQL programs to use instead of the installed ones",
    "TRADINGDB_REDIS_BIN": "redis-server or valkey-server program to use instead of the installed one",
    "UVICORN_WS": "WebSocket implementation of the web server: our own frames by default, or websockets-sansio",
    "WORKERS": "web processes, 1 by default",
}


def table() -> dict[str, str]:
    """Return the meaning of every variable, by name."""
    return BESIDE | {setting.name: f"{setting.help}; {setting.kind}" for setting in REGISTRY.values()}


def default_of(setting: Setting) -> str:
    """Return a default as it is on every machine."""
    if setting.secret:
        return ""
    text = setting.default.removeprefix("[").removesuffix("]").replace("'", "")
    return "" if text == "None" else text.replace(f"{settings.BASE_DIR}/", "")


class Command(BaseCommand):
    help = "Write docs/settings.md. Run it with no variable set, so that the defaults are the defaults."
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        lines = [
            "# Settings",
            "",
            "Every setting is an environment variable. A wrong value stops the start with the name of the variable.",
            "`manage.py show_settings` lists them with the values in force. Written by `manage.py settings_docs`.",
            "",
            "| variable | default | meaning |",
            "|---|---|---|",
        ]
        defaults = {setting.name: default_of(setting) for setting in REGISTRY.values()}
        for name, meaning in sorted(table().items()):
            default = defaults.get(name, "")
            lines.append(f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |")
        PAGE.write_text("\n".join(lines) + "\n")
        self.stdout.write(f"{len(table())} settings")
