"""What the API answers to made-up requests is what its description says: status, type, shape; never a 5xx, and what is
refused changes no row.

schemathesis makes the requests, good and bad ones, from our OpenAPI document; the ASGI application answers them behind
a real uvicorn. `make test-fuzz CASES=10000` makes more of them, other ones with each SEED; CALLS="heartbeat fills" asks
some calls alone.
"""

import os
import random
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import schemathesis
from django.db import connections
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.failures import Failure, FailureGroup

from bots.api import live
from tests.api.described import CODES, undescribed
from tests.api.fuzz_world import World
from tests.api.touched import Touched, watched_tables
from tests.ledger_checks import OF_FACTORY_BOTS, assert_ledger_holds
from tests.live.live_browser import SocketServer
from tradingdb.asgi import Application

CASES = int(os.environ.get("CASES", "400"))
SEED = int(os.environ["SEED"]) if "SEED" in os.environ else None
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
# Words of which the address of a call must hold one; none lets all calls be asked.
CALLS = os.environ.get("CALLS", "").split()
# What each caller shows at the door, and how it is named in the description.
CALLERS = {"bot": "BotToken", "staff": "StaffToken", "person": "StaffSession", "viewer": "StaffToken", "nobody": None}
# Seconds; a busy machine is no fault of the answer.
PATIENCE = 120
# A caller whom a call is for asks this many times as often as one who is turned away; calls that write, more often.
OFTENER, WRITING = 30, 2
# What a refusal may leave behind, by its code: what was refused and why, and the audit trail of that. Everything else
# leaves nothing.
TRACES = {
    "conflict": {"ingest_conflicts"},
    "duplicate_execution": {"ingest_conflicts"},
    "risk_rejected": {"orders", "order_events", "risk_events"},
    "wrong_password": {"user_actions"},
    "wrong_code": {"user_actions"},
}


@schemathesis.serializer("text/csv")
def csv_serializer(ctx: Any, value: Any) -> bytes:
    """Send what was made up as the text it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


# Most moments that could be made up lie ahead, and no fact does.
ZONES = st.sampled_from(["Z", "+00:00", "+05:30", "-10:00", "z"])
LATELY = st.integers(0, 10**12).map(lambda micros: datetime(2026, 11, 8, tzinfo=UTC) + timedelta(microseconds=micros))
EVER = st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30))  # noqa: DTZ001 (the offset is written behind it)
schemathesis.openapi.format(
    "date-time",
    st.builds(
        lambda moment, zone: f"{moment:%Y-%m-%dT%H:%M:%S.%f}{zone}", st.one_of(LATELY, LATELY, LATELY, EVER), ZONES
    ),
)


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketServer]:
    """The whole application behind uvicorn, with limits that nobody reaches."""
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"
    for bucket in ("FACTS", "COMMANDS", "READS"):
        setattr(settings, f"RATE_LIMIT_{bucket}_PER_MINUTE", 1_000_000)
    monkeypatch.setitem(connections.databases["default"]["OPTIONS"], "connect_timeout", PATIENCE)
    # No worker runs here; asking for one takes a third of a second.
    monkeypatch.setattr(live, "has_worker", lambda: False)
    server = SocketServer(Application(), lifespan="on")
    yield server
    server.stop()


def is_for(operation: Any, who: str) -> bool:
    """Whether a call is for this caller; who may look changes nothing."""
    if who == "viewer" and operation.method != "get":
        return False
    return any(CALLERS[who] in access for access in operation.definition.raw["security"])


def shares(operations: list[Any]) -> Iterator[tuple[Any, int]]:
    """Each call, and how many requests it gets of all there are."""
    weights = [1 if operation.method == "get" else WRITING for operation in operations]
    for operation, weight in zip(operations, weights, strict=True):
        yield operation, max(1, CASES * weight // sum(weights))


class Report:
    """How many requests were made, and what was wrong with the answers; the same fault counts once."""

    def __init__(self, described: dict[str, Any], touched: Touched) -> None:
        self.described, self.touched = described, touched
        self.session = requests.Session()
        self.statuses: Counter[int] = Counter()
        self.written: Counter[int] = Counter()
        self.faults: dict[tuple[str, str, str], str] = {}

    def note(self, who: str, case: Any, shown: dict[str, Any]) -> requests.Response:
        """Send a request and judge the answer."""
        self.session.cookies.clear()
        response = case.call(session=self.session, timeout=PATIENCE, **shown)
        self.statuses[response.status_code] += 1
        if case.operation.method != "get" and who != "nobody":
            self.written[response.status_code] += 1
        for text in (*failures(case, response), *self.oddities(case, response)):
            key = (case.operation.label, who, f"{text.splitlines()[0]} ({response.status_code})")
            self.faults.setdefault(key, f"{text}\n{case.as_curl_command()}\n{response.content[:500]!r}")
        return response

    def oddities(self, case: Any, response: Any) -> Iterator[str]:
        """Say what schemathesis does not look for: rows that a refusal changed, fields and codes nobody described."""
        status, touched = response.status_code, self.touched()
        try:
            body = response.json() if response.content else None
        except ValueError:
            yield "no JSON"
            return
        if status < 400:
            call = self.described["paths"][case.operation.path][case.operation.method]
            fields = undescribed(self.described, call["responses"].get(str(status), {}), body)
            yield from (f"a field that is not described: {field}" for field in fields)
            return
        code = body.get("code", "")
        traces = TRACES.get(code, set())
        if touched - traces - ({"changes"} if traces else set()):
            yield f"rows changed by a refusal: {sorted(touched)}"
        if code not in CODES or body.get("status") != status:
            yield f"no code that is documented, or another status: {code!r}"
        if body.get("request_id") != response.headers.get("x-request-id", [""])[0]:
            yield "another request id in the body"


def failures(case: Any, response: Any) -> Iterator[str]:
    """Say what schemathesis finds wrong."""
    try:
        case.validate_response(response, checks=CHECKS)
    except (Failure, FailureGroup) as e:
        yield from (text for text in map(str, getattr(e, "exceptions", [e])) if not reads_well(text))


def reads_well(text: str) -> bool:
    """Whether a request is called bad for no more than a list in its query: of one word it reads as that word."""
    parts = [line.strip() for line in text.splitlines() if line.strip().startswith("- ")]
    wrong = [part for part in parts if "/properties/Authorization" not in part]
    return bool(wrong) and all(part.startswith("- query:") and "became array" in part for part in wrong)


def is_good(case: Any) -> bool:
    """Whether every part was made up to be taken."""
    return case.meta.generation.mode == GenerationMode.POSITIVE and all(
        part.mode == GenerationMode.POSITIVE for part in case.meta.components.values()
    )


def run(operation: Any, examples: int, world: World, report: Report) -> None:
    """Make requests to one call: two of three good, most of those about what exists."""
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    callers = [who for who in CALLERS for _ in range(OFTENER if is_for(operation, who) else 1)]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=SEED is None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=good | good | bad, chance=st.integers(0, 2**32))
    def make(case: Any, chance: int) -> None:
        choose = random.Random(chance)
        who = choose.choice(callers)
        if is_good(case):
            world.aim(case, who, choose)
        response = report.note(who, case, world.callers[who])
        world.learn(case, response)

    (make if SEED is None else seed(SEED)(make))()


@pytest.mark.django_db(transaction=True)
def test_answers_are_as_described(server: SocketServer, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"http://127.0.0.1:{server.port}/api/v1/openapi.json"
    world = World(requests.get(address, timeout=PATIENCE).json())
    described = schemathesis.openapi.from_url(address, timeout=PATIENCE)
    operations = [result.ok() for result in described.get_all_operations()]
    operations = [call for call in operations if not CALLS or any(word in call.path for word in CALLS)]

    with watched_tables() as touched:
        report = Report(world.described, touched)
        for operation, examples in shares(operations):
            world.begin()
            touched()
            run(operation, examples, world, report)

    with capsys.disabled():
        sys.stdout.write(f"\nseed {SEED}: {summary(report)}\n")
    assert not report.faults, "\n\n".join(f"{key}\n{text}" for key, text in report.faults.items())
    assert_ledger_holds(without=OF_FACTORY_BOTS)


def summary(report: Report) -> str:
    """Say how many requests there were and how they were answered."""
    answers, writes = (
        ", ".join(f"{count} x {status}" for status, count in sorted(counted.items()))
        for counted in (report.statuses, report.written)
    )
    return f"{report.statuses.total()} requests ({answers}), of them writes ({writes}); {len(report.faults)} faults"
