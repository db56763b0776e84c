"""Compute risk metrics of past days."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.services.risk_metrics import risk_metrics_backfill
from tradingdb.lib.errors import DomainError


class Command(BaseCommand):
    help = (
        "Compute the daily risk metrics of a span of UTC days. Rows whose inputs are the same stay. Safe to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="first", required=True, metavar="DATE", help="first UTC day, 2026-11-01")
        parser.add_argument("--to", dest="last", required=True, metavar="DATE", help="last UTC day")
        parser.add_argument("--bot", help="bot_id; all bots that are not archived by default")

    def handle(self, *, first: str, last: str, bot: str | None, **options: Any) -> None:
        try:
            done = risk_metrics_backfill(first=_day(first), last=_day(last), bot_id=bot)
        except DomainError as e:
            raise CommandError(e.message) from e
        self.stdout.write(f"{done.written} written, {done.unchanged} unchanged")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as e:
        raise CommandError(f"not a date like 2026-11-01: {text}") from e
