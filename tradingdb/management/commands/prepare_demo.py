"""What the demo needs before its bots trade: their registration, tokens, and a past."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from analytics.selectors.grid import slot_at
from analytics.services.portfolio import bots_refresh_total_pnl, portfolio_backfill
from analytics.services.risk_metrics import risk_metrics_backfill
from audit.services.actions import Actor
from bots.api.inputs import OperationIn
from bots.api.operations import read_operation
from bots.models import Bot, Fill
from bots.services.batch import Batch
from bots.services.context import bot_context
from bots.services.plan import run
from bots.services.registry import bot_register
from bots.services.tokens import token_authenticate, token_create
from config_app.services.configurations import configuration_activate
from demo.candles import CandleFileError, Library, account_quote, read_library
from demo.history import HistoryOp, history, history_start
from demo.registry import BOTS, DemoBot
from tradingdb.lib.errors import DomainError

ACTOR = Actor(name="prepare_demo")
BATCH = 500


class Command(BaseCommand):
    help = "Register the three demo bots, write their tokens, and give them weeks of trades. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        folder = os.environ.get("CANDLES")
        parser.add_argument(
            "--candles",
            type=Path,
            default=Path(folder) if folder else None,
            help="folder of SYMBOL-interval.csv[.gz]; default: CANDLES, else the sample",
        )
        parser.add_argument("--days", type=int, default=75, help="days of history (60 or more show every chart)")

    def handle(self, *, candles: Path | None, days: int, **options: Any) -> None:
        try:
            library = read_library(candles)
        except CandleFileError as e:
            raise CommandError(str(e)) from e
        end = timezone.now().replace(microsecond=0)
        quote = account_quote(library.sets) or "USD"
        try:
            for bot in BOTS:
                register(bot, quote, history_start(end, days))
        except DomainError as e:
            raise CommandError(f"{e}; the demo needs bots of its own: use another STATE_DIR.") from e
        write_tokens(settings.STATE_DIR / "demo" / "tokens.json")
        stored = 0
        if not Fill.objects.filter(bot_id__in=[bot.bot_id for bot in BOTS]).exists():
            stored = write_history(library, end, days)
        self.stdout.write(f"{len(BOTS)} demo bots are ready; {stored} operations of history written")


def register(bot: DemoBot, quote: str, since: Any) -> None:
    """Register one bot with its limits and configurations; the same again changes nothing."""
    registered = Bot.objects.filter(bot_id=bot.bot_id).first()
    bot_register(
        bot_id=bot.bot_id,
        bot_name=bot.bot_name,
        bot_type=bot.bot_type,
        strategy_name=bot.strategy_name,
        description=bot.description,
        deployment_mode=bot.deployment_mode,
        initial_capital=bot.initial_capital,
        currency=registered.currency if registered else quote,
        exchange=bot.exchange,
        max_positions=bot.max_positions,
        leverage_limit=bot.leverage_limit,
        max_daily_loss_pct=bot.max_daily_loss_pct,
        max_weekly_loss_pct=bot.max_weekly_loss_pct,
        max_drawdown_pct=bot.max_drawdown_pct,
        registered_at=since,
        actor=ACTOR,
    )
    if registered is None:
        for configuration in bot.configurations:
            configuration_activate(
                bot_id=bot.bot_id,
                config_key=configuration.config_key,
                config_type=configuration.config_type,
                value=configuration.value,
                actor=ACTOR,
                reason="as registered by the original bot",
            )


def write_tokens(file: Path) -> None:
    """Write a token for each demo bot, readable by us alone; tokens that still open the door are kept."""
    known: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
    now = timezone.now()
    tokens = {}
    for bot in BOTS:
        try:
            token_authenticate(known.get(bot.bot_id, ""), now=now)
            tokens[bot.bot_id] = known[bot.bot_id]
        except DomainError:
            tokens[bot.bot_id] = token_create(bot_id=bot.bot_id, actor=ACTOR).token
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(tokens, out)
    part.replace(file)


def write_history(library: Library, end: Any, days: int) -> int:
    """Send the past through the services that bots write with, then compute what follows from it."""
    stored = 0
    for bot_id, ops in groupby(history(library.sets, end=end, days=days, bots=BOTS), key=lambda op: op.bot_id):
        bot = bot_context(bot_id)
        for part in chunks(ops, BATCH):
            operations = [read_operation(OperationIn.model_validate(op.as_batch())) for op in part]
            outcome = run(partial(Batch(operations).plan, bot))
            refused = [result for result in outcome.body["results"] if result["status"] >= 400]
            if refused:
                raise CommandError(f"The history was refused: {refused[0]}")
            stored += len(part)
    first = history_start(end, days)
    risk_metrics_backfill(first=first.date(), last=end.date() - timedelta(days=1))
    # A point a day at once; the five-minute slots between them are made by the jobs.
    for day in range(days):
        slot = slot_at(first + timedelta(days=day + 1))
        portfolio_backfill(first=slot, last=min(slot, end))
    bots_refresh_total_pnl()
    return stored


def chunks(ops: Iterable[HistoryOp], size: int) -> Iterator[list[HistoryOp]]:
    """Cut the operations into lists of at most `size`."""
    iterator = iter(ops)
    while part := list(islice(iterator, size)):
        yield part
