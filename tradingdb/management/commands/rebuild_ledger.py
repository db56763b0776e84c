"""Derives the ledger from its fills anew."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.services.rebuild import ledger_rebuild
from tradingdb.lib.errors import DomainError


class Command(BaseCommand):
    help = "Work out orders, positions and trades from the fills and correct what differs. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something differs")
        parser.add_argument("--bot", help="bot_id; all bots by default")

    def handle(self, *, check: bool, bot: str | None, **options: Any) -> None:
        try:
            result = ledger_rebuild(bot_id=bot, check=check)
        except DomainError as e:
            raise CommandError(e.message) from e
        for found in result.differences:
            where = f"{found.bot_id} {found.symbol} {found.kind} {found.id}"
            self.stdout.write(f"{where}: {found.field} is {found.stored}, the fills say {found.derived}")
        told = f"Chains: {result.chains}; figures that differ: {len(result.differences)}"
        if check and result.differences:
            raise CommandError(told)
        self.stdout.write(f"{told}, now corrected" if result.differences else told)
