"""Gives the bots' role its rights."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from bots.services.rights import grant_bot_rights


class Command(BaseCommand):
    help = "Give the role of BOT_DATABASE_URL exactly the rights bots need, as migrate does. Safe to run again."

    def handle(self, **options: Any) -> None:
        changed = grant_bot_rights()
        if settings.BOT_ROLE is None:
            self.stdout.write("BOT_DATABASE_URL is the application's own login: row security does not bind bots.")
        elif changed is None:
            self.stdout.write(f"There is no role {settings.BOT_ROLE}.")
        else:
            for grant in changed:
                self.stdout.write(" ".join(filter(None, grant)))
            self.stdout.write(f"{len(changed)} rights changed." if changed else "Every right was as it should be.")
