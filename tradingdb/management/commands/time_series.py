"""Shows how the time-series tables are kept, or runs their maintenance."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from analytics.selectors.time_series import series_states
from analytics.services.time_series import maintain_time_series

LINE = "{:<32}{:<15}{:>6}  {:<12}{:<12}{:>8}  {}"


class Command(BaseCommand):
    help = (
        "Show each time-series table: parts, first and last day, rows in DEFAULT, policy, what is due. Changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--apply", action="store_true", help="do now what is due, however long writers wait; safe to repeat"
        )

    def handle(self, *, apply: bool, **options: Any) -> None:
        if apply:
            self._apply()
            return
        self.stdout.write(LINE.format("table", "kept in", "parts", "from", "to", "DEFAULT", "kept"))
        for state in series_states(timezone.now()):
            days = (_day(state.oldest), _day(state.newest))
            self.stdout.write(LINE.format(state.table, state.kind, state.parts, *days, state.waiting, state.policy))
            for line in state.due:
                self.stdout.write(f"    due: {line}")

    def _apply(self) -> None:
        report = maintain_time_series(timezone.now(), most_moved=None)
        for word, names in (("made", report.created), ("dropped", report.dropped)):
            for name in names:
                self.stdout.write(f"{word} {name}")
        for table, rows in report.deleted.items():
            self.stdout.write(f"deleted {rows} rows of {table}")
        for table, rows in report.waiting.items():
            self.stdout.write(f"{rows} rows of {table} have no partition yet")
        if report.failed:
            raise CommandError("; ".join(f"{table}: {reason.strip()}" for table, reason in report.failed.items()))
        self.stdout.write(f"{len(report.created)} parts made, {len(report.dropped)} dropped")


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "-"
