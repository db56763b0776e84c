"""Derives anew what follows from the facts, and says what differs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.services.rebuild import (
    balances_compare,
    bots_rebuild,
    computed_since,
    metrics_rebuild,
    snapshots_compare,
)
from bots.services.rebuild import Difference, ledger_rebuild
from tradingdb.lib.errors import DomainError


class Command(BaseCommand):
    help = (
        "Work out orders, positions, trades, daily metrics and figures of bots from the facts and correct what differs."
        " Snapshots and told balances are compared and stay. Safe to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something differs")
        parser.add_argument("--bot", help="bot_id; all bots by default")
        parser.add_argument(
            "--days", type=int, default=7, help="how far back portfolio snapshots are compared; 7 by default"
        )

    def handle(self, *, check: bool, bot: str | None, days: int, **options: Any) -> None:
        try:
            result = ledger_rebuild(bot_id=bot, check=check)
        except DomainError as e:
            raise CommandError(e.message) from e
        corrected = [*result.differences, *metrics_rebuild(bot_id=bot, check=check)]
        corrected += bots_rebuild(bot_id=bot, check=check)
        kept = snapshots_compare(since=computed_since(days), bot_id=bot)
        for found in (*corrected, *kept):
            self._tell(found)
        for gap in balances_compare(bot_id=bot):
            self.stdout.write(
                f"{gap.bot_id}: the balance told at {gap.at:%Y-%m-%dT%H:%M:%SZ} is {gap.reported:f} {gap.currency},"
                f" the ledger comes to {gap.by_ledger:f} (a difference of {gap.reported - gap.by_ledger:f}, kept)"
            )
        told = f"Chains: {result.chains}; figures that differ: {len(corrected) + len(kept)}"
        if check and (corrected or kept):
            raise CommandError(told)
        if kept:
            raise CommandError(f"{told}; {len(kept)} of snapshots, which are records and stay")
        self.stdout.write(f"{told}, now corrected" if corrected else told)

    def _tell(self, found: Difference) -> None:
        where = " ".join(word for word in (found.bot_id, found.symbol, found.kind, found.id) if word)
        self.stdout.write(f"{where}: {found.field} is {found.stored}, the facts say {found.derived}")
