"""Reads a snapshot of an account at an exchange: what it holds, and executions that no bot may have told of."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Annotated, Any

from django.core.management.base import BaseCommand, CommandError
from pydantic import Field

from bots.api.schemas import AccountFillIn, ReportedPositionIn
from bots.services.reconciliation import account_compare
from bots.services.unattributed import account_record_fill
from tradingdb.lib.errors import DomainError, ValidationFailed
from tradingdb.lib.schema import FactTime, StrictModel, validated
from tradingdb.lib.strictjson import parse

LIMIT = 64 * 1024 * 1024


class SnapshotIn(StrictModel):
    """What an exchange shows of an account; without `positions` none are compared."""

    as_of: FactTime
    positions: Annotated[list[ReportedPositionIn], Field(max_length=5000)] | None = None
    fills: Annotated[list[AccountFillIn], Field(max_length=100_000)] = []


class Command(BaseCommand):
    help = "Put an account's executions without a bot into the inbox and compare its positions. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", help="account_id")
        parser.add_argument("file", help="JSON; - reads standard input")
        parser.add_argument("--source", default="stream", help="where it comes from: stream or import:NAME")

    def handle(self, *, account: str, file: str, source: str, **options: Any) -> None:
        try:
            raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
            snapshot = validated(SnapshotIn, parse(raw, limit=LIMIT), loc=())
            answer = self._record(account, snapshot, source)
        except OSError as e:
            raise CommandError(f"{file} cannot be read: {e.strerror}.") from e
        except ValidationFailed as e:
            places = "; ".join(f"{place['loc']}: {place['msg']}" for place in e.errors[:5])
            raise CommandError(f"{e.message} {places}".strip()) from e
        except DomainError as e:
            raise CommandError(e.message) from e
        self.stdout.write(json.dumps(answer))

    def _record(self, account: str, snapshot: SnapshotIn, source: str) -> dict[str, Any]:
        fills = [account_record_fill(account_id=account, fill=fill.to_domain(source)) for fill in snapshot.fills]
        answer: dict[str, Any] = {"fills": len(fills), "new": sum(fill.status == 201 for fill in fills)}
        if snapshot.positions is not None:
            positions = [position.to_domain() for position in snapshot.positions]
            found = account_compare(account_id=account, positions=positions, as_of=snapshot.as_of).body
            answer |= {"matched": found["matched"], "cases": [case["symbol"] for case in found["cases"]]}
        return answer
