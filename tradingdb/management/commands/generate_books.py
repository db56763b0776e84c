"""Fills a database with sound, made-up books, to see and measure it at size."""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bots.models import Bot
from tradingdb.management.synthetic import Books, refresh_statistics, register_bots, store_candles, store_trades


class Command(BaseCommand):
    help = "Make up bots, round trips with their orders, fills and positions, and candles. For an empty database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bots", type=int, default=100, help="bots that trade (100)")
        parser.add_argument("--trades", type=int, default=1_000_000, help="round trips over all bots (1,000,000)")
        parser.add_argument("--candles", type=int, default=1_000_000, help="one-minute candles (1,000,000)")
        parser.add_argument("--days", type=int, default=365, help="days over which the trades are spread (365)")
        parser.add_argument("--seed", type=int, default=1, help="another number gives other prices (1)")

    def handle(self, *, bots: int, trades: int, candles: int, days: int, seed: int, **options: Any) -> None:
        if min(bots, days) < 1 or min(trades, candles) < 0:
            raise CommandError("--bots and --days are at least 1, --trades and --candles at least 0.")
        if Bot.objects.exists():
            raise CommandError("There are bots already; made-up books go into a database of their own.")
        books = Books(bots=bots, trades=trades, candles=candles, days=days, end=timezone.now(), seed=seed)
        registered = register_bots(books)
        self._count("trades", trades, store_trades(books, registered))
        self._count("candles", candles, store_candles(books))
        refresh_statistics()

    def _count(self, what: str, wanted: int, progress: Iterator[int]) -> None:
        """Say how far it is, at most once a second, and how long it took."""
        begun = said = time.monotonic()
        done = 0
        for done in progress:
            if time.monotonic() - said >= 1:
                said = time.monotonic()
                self.stderr.write(f"{done:,} of {wanted:,} {what}")
        self.stdout.write(f"{done:,} {what} in {time.monotonic() - begun:.1f} s")
