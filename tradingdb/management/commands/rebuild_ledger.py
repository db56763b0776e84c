"""Derives anew what follows from the facts, and says what differs."""

import json
import re
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from analytics.services.rebuild import (
    BalanceGap,
    balances_compare,
    bots_rebuild,
    computed_since,
    metrics_rebuild,
    snapshots_compare,
)
from bots.ledger.shapes import plain, stamp
from bots.services.rebuild import Difference, Rebuilt, ledger_rebuild
from tradingdb.lib.errors import DomainError

# Columns keep zeros up to their last place.
ZEROS = re.compile(r"(-?\d+)(?:\.0+|(\.\d*[1-9])0+)")


class Command(BaseCommand):
    help = (
        "Work out orders, positions, trades, daily metrics and figures of bots from the facts and correct what differs."
        " Snapshots and told balances are compared and stay. Safe to run again. Exit 0: everything follows from the"
        " facts, or does so now; 1: something differs and stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", "--dry-run", action="store_true", help="change nothing; exit 1 when something differs"
        )
        parser.add_argument("--bot", help="bot_id; all bots by default")
        parser.add_argument(
            "--days", type=int, default=7, help="how far back portfolio snapshots are compared; 7 by default"
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="print what was found as JSON")

    def handle(self, *, check: bool, bot: str | None, days: int, as_json: bool, **options: Any) -> None:
        began = timezone.now()
        try:
            result = ledger_rebuild(bot_id=bot, check=check)
        except DomainError as e:
            raise CommandError(e.message) from e
        since = began if result.differences and not check else None
        corrected = [*result.differences, *metrics_rebuild(bot_id=bot, check=check, since=since)]
        corrected += bots_rebuild(bot_id=bot, check=check, since=since)
        kept = snapshots_compare(since=computed_since(days), bot_id=bot)
        gaps = balances_compare(bot_id=bot)
        if as_json:
            self.stdout.write(json.dumps(report(result, [*corrected, *kept], gaps, is_check=check)))
        else:
            self._tell([*corrected, *kept], gaps)
        told = f"Chains: {result.chains}; figures that differ: {len(corrected) + len(kept)}"
        if check and (corrected or kept):
            raise CommandError(told)
        if kept:
            raise CommandError(f"{told}; {len(kept)} of snapshots, which are records and stay")
        if not as_json:
            self.stdout.write(f"{told}, now corrected" if corrected else told)

    def _tell(self, differences: Sequence[Difference], gaps: Sequence[BalanceGap]) -> None:
        for found in differences:
            where = " ".join(word for word in (found.bot_id, found.symbol, found.kind, found.id) if word)
            self.stdout.write(f"{where}: {found.field} is {short(found.stored)}, the facts say {short(found.derived)}")
        for gap in gaps:
            reported, due, more = map(plain, (gap.reported, gap.by_ledger, gap.reported - gap.by_ledger))
            self.stdout.write(
                f"{gap.bot_id}: the balance told at {gap.at:%Y-%m-%dT%H:%M:%SZ} is {reported} {gap.currency},"
                f" the ledger comes to {due} (a difference of {more}, kept)"
            )


def report(
    result: Rebuilt, differences: Sequence[Difference], gaps: Sequence[BalanceGap], *, is_check: bool
) -> dict[str, Any]:
    """Return what was found, for machines: every figure that differs, how many of each kind, and told balances."""
    return {
        "check": is_check,
        "chains": result.chains,
        "count": len(differences),
        "kinds": dict(sorted(Counter(found.kind for found in differences).items())),
        "differences": [found._asdict() | told(found) for found in differences],
        "balances": [
            {
                "bot_id": gap.bot_id,
                "currency": gap.currency,
                "at": stamp(gap.at),
                "told": plain(gap.reported),
                "by_ledger": plain(gap.by_ledger),
            }
            for gap in gaps
        ],
    }


def told(found: Difference) -> dict[str, str | None]:
    """Return both sides of a difference without the zeros of their columns."""
    return {"stored": short(found.stored), "derived": short(found.derived)}


def short(value: str | None) -> str | None:
    """Return a figure without the zeros that its column adds; other words stay."""
    if value is None or (match := ZEROS.fullmatch(value)) is None:
        return value
    return match[1] + (match[2] or "")
