"""Halts trading from the shell, also while the web server is down; releasing is for an admin in the browser."""

from argparse import ArgumentParser
from getpass import getuser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.services.actions import Actor
from bots.choices import ControlLevel, ControlScope
from bots.services.control import control_set
from tradingdb.lib.errors import DomainError


class Command(BaseCommand):
    help = "Halt everything, or one scope. Needs PostgreSQL alone. There is no release here: that is for an admin."
    # A bad key file, or whatever else a check finds, keeps nobody from halting.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reason", help="why; bots and people read it")
        parser.add_argument("--scope", choices=ControlScope.values, default=ControlScope.ALL.value)
        parser.add_argument("--target", default="", help="a bot_id, a symbol or an exchange; nothing for scope all")
        parser.add_argument("--reduce", action="store_true", help="REDUCING: orders that shrink a position still pass")

    def handle(self, *, reason: str, scope: str, target: str, reduce: bool, **options: Any) -> None:
        state = ControlLevel.REDUCING if reduce else ControlLevel.HALTED
        actor = Actor(name=f"shell:{getuser()}")
        try:
            row = control_set(scope=scope, target=target, state=state, reason=reason, actor=actor)
        except DomainError as e:
            raise CommandError(e.message) from e
        self.stdout.write(f"{row} is in force, number {row.server_seq}.")
