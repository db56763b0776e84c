"""Show the metrics of a bot."""

import json
from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from analytics.metrics.canonical import DEFINITION
from analytics.selectors.metrics import Question, metrics_as_of
from tradingdb.lib.errors import DomainError
from tradingdb.lib.times import parse_utc


class Command(BaseCommand):
    help = "Show the metrics of a bot over its whole history, computed from the ledger."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bot", required=True, help="bot_id")
        parser.add_argument("--definition", default=DEFINITION, help=f"id of the set of metrics, default {DEFINITION}")
        parser.add_argument("--as-of", help="RFC 3339 time with an offset; later facts do not count; default now")
        parser.add_argument("--starting-balance", help="stands in for the bot's initial capital")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, bot: str, definition: str, json: bool, **options: Any) -> None:
        try:
            as_of = parse_utc(options["as_of"]) if options["as_of"] else timezone.now()
        except ValueError as e:
            raise CommandError(f"--as-of {e}") from e
        starting_balance = _amount(options["starting_balance"])
        question = Question(bot_id=bot, definition=definition, as_of=as_of, starting_balance=starting_balance)
        try:
            answer = metrics_as_of(question)
        except DomainError as e:
            raise CommandError(e.message) from e
        self.stdout.write(_text(answer, as_json=json))


def _text(answer: dict[str, Any], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(answer)
    lines = [f"{answer['bot_id']}, {answer['definition']}, {answer['currency']}, as of {answer['as_of']}"]
    lines += [f"{name:24} {'-' if value is None else value}" for name, value in answer["metrics"].items()]
    if answer["provisional"]:
        lines.append(f"provisional: {', '.join(answer['provisional_reasons'])}")
    return "\n".join(lines)


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation as e:
        raise CommandError(f"--starting-balance must be a number: {text}") from e
    if not value.is_finite() or value < 0:
        raise CommandError(f"--starting-balance must be a finite number from 0: {text}")
    return value
