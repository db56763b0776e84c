"""What the API answers to made-up requests is what its description says: status, type, shape; never a 5xx.

schemathesis makes the requests, good and bad ones, from our OpenAPI document; the ASGI application answers them behind
a real uvicorn. `make test-fuzz CASES=10000` makes more of them, other ones with each SEED.
"""

import os
import re
import sys
import uuid
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.failures import Failure, FailureGroup

from audit.models import RiskEvent
from bots.api import live
from bots.api.schemas import TradeIn
from bots.models import Bot, Position, ReconciliationCase
from bots.services.trades import trade_record
from tests.api.bad_inputs import THEN, TRADE
from tests.api.conftest import bot_caller, staff_caller
from tests.bots.ledger_tools import START, add_fill, at, place
from tests.factories import AccountBalanceFactory, BotFactory
from tests.ledger_checks import OF_FACTORY_BOTS, assert_ledger_holds
from tests.live.live_browser import SocketServer
from tradingdb.asgi import Application

CASES = int(os.environ.get("CASES", "200"))
SEED = int(os.environ["SEED"]) if "SEED" in os.environ else None
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
# What each caller shows at the door, and how it is named in the description.
CALLERS = {"bot": "BotToken", "staff": "StaffToken", "nobody": None}
# Seconds; a busy machine is no fault of the answer.
PATIENCE = 120
TIME = re.compile(r"20\d\d-\d\d-\d\d[Tt]")
# A caller whom a call is for asks this many times as often as one who is turned away.
OFTENER = 10


@schemathesis.serializer("text/csv")
def csv_serializer(ctx: Any, value: Any) -> bytes:
    """Send what was made up as the text it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketServer]:
    """The whole application behind uvicorn, with limits that nobody reaches."""
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"
    for bucket in ("FACTS", "COMMANDS", "READS"):
        setattr(settings, f"RATE_LIMIT_{bucket}_PER_MINUTE", 1_000_000)
    # No worker runs here; asking for one takes a third of a second.
    monkeypatch.setattr(live, "has_worker", lambda: False)
    server = SocketServer(Application(), lifespan="on")
    yield server
    server.stop()


class Known:
    """A bot with a row of each kind, so that answers are not empty and ids lead somewhere."""

    def __init__(self) -> None:
        bot: Bot = BotFactory(bot_id="known", max_positions=1000, leverage_limit=100)
        place(bot, "o1", "buy", "2", created_at=at(0))
        add_fill(bot, "f1", "o1", "100", "1", 1)
        trade = TradeIn.model_validate(TRADE | {"exit_price": "101", "exit_time": THEN})
        trade_record(bot_id=bot.bot_id, trade=trade.to_domain())
        AccountBalanceFactory(bot=bot)
        case = ReconciliationCase.objects.create(kind="unattributed", bot=bot, symbol="BTCUSDT", opened_at=START)
        risk = RiskEvent.objects.create(
            bot_id=bot.bot_id,
            risk_type="position_limit",
            current_value=4,
            limit_value=3,
            action_taken="new_trades_blocked",
        )
        self.ids = {
            "bot_id": "known",
            "order_id": "o1",
            "position_id": Position.objects.get(bot=bot).position_id,
            "case_id": case.pk,
            "event_id": risk.pk,
        }
        self.headers = {
            "bot": bot_caller(bot).headers,
            "staff": staff_caller("admin").headers,
            "nobody": {},
        }

    def put_into(self, case: Any) -> None:
        """Let a made-up request name what exists."""
        names = self.ids.keys() & (case.path_parameters or {}).keys()
        case.path_parameters = {**(case.path_parameters or {}), **{name: self.ids[name] for name in names}}
        if isinstance(case.body, dict):
            case.body = in_the_past(case.body)
            if "order_id" in case.body:
                case.body = {**case.body, "order_id": "o1"}


def in_the_past(value: Any) -> Any:
    """A body whose times have been: most of those made up lie ahead, and no fact does."""
    if isinstance(value, dict):
        return {key: in_the_past(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [in_the_past(inner) for inner in value]
    return THEN if isinstance(value, str) and TIME.match(value) else value


def is_for(operation: Any, who: str) -> bool:
    """Whether a call is for this caller."""
    return any(CALLERS[who] in access for access in operation.definition.raw["security"])


def rounds(operations: list[Any]) -> Iterator[tuple[Any, str, int]]:
    """Each call by each caller, and how many requests it gets of all there are."""
    shares = {
        (number, who): OFTENER if is_for(operation, who) else 1
        for (number, operation), who in product(enumerate(operations), CALLERS)
    }
    whole = sum(shares.values())
    for (number, who), share in shares.items():
        yield operations[number], who, max(1, CASES * share // whole)


class Report:
    """How many requests were made, and what was wrong with the answers; the same fault counts once."""

    def __init__(self) -> None:
        self.sent = 0
        self.statuses: dict[int, int] = {}
        self.faults: dict[tuple[str, str, str], str] = {}

    def note(self, operation: Any, who: str, case: Any, headers: dict[str, str]) -> None:
        """Send a request and judge the answer."""
        response = case.call(headers=headers, timeout=PATIENCE)
        self.sent += 1
        self.statuses[response.status_code] = self.statuses.get(response.status_code, 0) + 1
        try:
            case.validate_response(response, checks=CHECKS)
        except (Failure, FailureGroup) as e:
            text = "\n".join(map(str, getattr(e, "exceptions", [e])))
            key = (operation.label, who, text.splitlines()[0] + str(response.status_code))
            self.faults.setdefault(key, f"{text}\n{case.as_curl_command()}\n{response.content[:500]!r}")


def run(operation: Any, who: str, examples: int, known: Known, report: Report) -> None:
    """Make requests to one call, half of them good, some of them naming what exists."""
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=SEED is None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=good | bad, names_known=st.booleans())
    def make(case: Any, names_known: bool) -> None:
        if names_known:
            known.put_into(case)
        report.note(operation, who, case, known.headers[who])

    (make if SEED is None else seed(SEED)(make))()


@pytest.mark.django_db(transaction=True)
def test_answers_are_as_described(server: SocketServer, capsys: pytest.CaptureFixture[str]) -> None:
    known, report = Known(), Report()
    described = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/api/v1/openapi.json", timeout=PATIENCE)
    operations = [result.ok() for result in described.get_all_operations()]

    for operation, who, examples in rounds(operations):
        run(operation, who, examples, known, report)

    with capsys.disabled():
        answers = ", ".join(f"{count} x {status}" for status, count in sorted(report.statuses.items()))
        sys.stdout.write(f"\n{report.sent} requests, seed {SEED}: {answers}; {len(report.faults)} faults\n")
    assert not report.faults, "\n\n".join(f"{key}\n{text}" for key, text in report.faults.items())
    assert_ledger_holds(without=OF_FACTORY_BOTS)
