"""Creates bots with tokens, for trials and benches."""

import json
import re
from argparse import ArgumentParser
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from audit.services.actions import Actor
from bots.choices import DeploymentMode
from bots.models import Bot
from bots.services.registry import bot_register
from bots.services.tokens import token_create

MAX_BOTS = 1000
INITIAL_CAPITAL = Decimal(1_000_000)
# Wide enough that a trial is never refused.
MAX_POSITIONS = 1000
LEVERAGE = 125


class Command(BaseCommand):
    help = "Create N active demo bots with wide limits; prints [{bot_id, token}] as JSON. Each run makes new ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("count", type=int, metavar="N", help="how many bots")
        parser.add_argument("--prefix", default="bot", help="what the bot_ids begin with")

    def handle(self, *, count: int, prefix: str, **options: Any) -> None:
        if not 1 <= count <= MAX_BOTS:
            raise CommandError(f"N is a whole number from 1 to {MAX_BOTS}.")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", prefix):
            raise CommandError("The prefix takes letters, digits, '_', '.' and '-', at most 40 of them.")
        with transaction.atomic():
            first = self._next_number(prefix)
            made = [self._create(f"{prefix}_{number:03}") for number in range(first, first + count)]
        self.stdout.write(json.dumps(made))

    def _next_number(self, prefix: str) -> int:
        pattern = re.compile(rf"{re.escape(prefix)}_([0-9]+)")
        taken = Bot.objects.filter(bot_id__startswith=f"{prefix}_").values_list("bot_id", flat=True)
        numbers = [int(match[1]) for bot_id in taken if (match := pattern.fullmatch(bot_id))]
        return max(numbers, default=0) + 1

    def _create(self, bot_id: str) -> dict[str, str]:
        actor = Actor(name="create_bots")
        bot_register(
            bot_id=bot_id,
            bot_name=f"Trial bot {bot_id}",
            bot_type="custom",
            strategy_name="Trial",
            deployment_mode=DeploymentMode.DEMO,
            initial_capital=INITIAL_CAPITAL,
            max_positions=MAX_POSITIONS,
            leverage_limit=LEVERAGE,
            actor=actor,
        )
        return {"bot_id": bot_id, "token": token_create(bot_id=bot_id, actor=actor).token}
