"""Gives one bot a login to the database, or takes it away."""

import json
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.services.actions import Actor
from bots.services.logins import login_create, login_drop
from tradingdb.lib.errors import DomainError
from tradingdb.settings.env import INSTANCE


class Command(BaseCommand):
    help = (
        "Give a bot that writes by SQL or by this project's services a login that is bound to its own rows, or the "
        'one it has a new password; prints {"bot_id", "database_url"} as JSON. Needs ADMIN_DATABASE_URL, a login that '
        "may create roles; the embedded server has one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("bot_id")
        parser.add_argument("--drop", action="store_true", help="take the login away and end its sessions")

    def handle(self, *, bot_id: str, drop: bool, **options: Any) -> None:
        admin_url = os.environ.get("ADMIN_DATABASE_URL") or INSTANCE.get("ADMIN_DATABASE_URL")
        if not admin_url:
            raise CommandError("Set ADMIN_DATABASE_URL to a login that may create roles.")
        actor = Actor(name="bot_login")
        try:
            if drop:
                login_drop(bot_id=bot_id, admin_url=admin_url, actor=actor)
            else:
                url = login_create(bot_id=bot_id, admin_url=admin_url, actor=actor)
                self.stdout.write(json.dumps({"bot_id": bot_id, "database_url": url}))
        except DomainError as e:
            raise CommandError(e.message) from e
