"""No bad input changes a row, and each gets its 4xx: the catalogue (bad_inputs.py) against every call that writes.

Both doors are tried: Django's views, and the ASGI application with its lane, over connections of its own.
"""

import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import pytest

from audit.models import RiskEvent
from bots.api import inputs, operations
from bots.models import Bot, BotToken, Position, ReconciliationCase
from tests.api import bad_values
from tests.api.bad_inputs import BAD_CANDLES, CANDLES, OPERATIONS, WRITES, Case, of_body, of_field
from tests.api.conftest import bot_caller, staff_caller
from tests.api.described import CODES, description, resolved
from tests.api.doors import Door, Reply, by_application, by_views, digest, tables
from tests.bots.ledger_tools import add_fill, place
from tests.factories import BotFactory
from tradingdb.lib.http import PROBLEM_TYPE

Send = Callable[[], Reply]
Judge = Callable[[Reply], str]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PROBLEM = {"type", "title", "status", "detail", "code", "request_id", "errors"}
DESCRIBED = description()
PATHS: dict[str, set[str]] = {
    path.removeprefix("/api/v1"): {method.upper() for method in calls} for path, calls in DESCRIBED["paths"].items()
}
CALLS = sorted(WRITES)
HOT = {f"{call.method} {call.path}" for call in operations.CALLS}


# --- the catalogue is whole


def test_every_call_that_writes_is_in_the_catalogue():
    writing = {f"{method} {path}" for path, methods in PATHS.items() for method in methods if method != "GET"}

    assert set(WRITES) == writing


def schema_of(call: str) -> dict[str, Any]:
    """The description of the object whose fields the catalogue names."""
    method, path = call.split()
    content = DESCRIBED["paths"]["/api/v1" + path][method.lower()]["requestBody"]["content"]
    schema = resolved(DESCRIBED, content["application/json"]["schema"])
    for step in WRITES[call].at:
        schema = resolved(DESCRIBED, schema["items"] if isinstance(step, int) else schema["properties"][step])
    return schema


@pytest.mark.parametrize("call", [call for call in CALLS if WRITES[call].body])
def test_every_field_of_a_call_is_in_the_catalogue(call: str):
    assert set(WRITES[call].fields) == set(schema_of(call)["properties"])


def test_every_operation_of_a_batch_is_in_the_catalogue():
    assert set(OPERATIONS) == set(inputs.OPERATION_MODELS)
    for name, (_, fields) in OPERATIONS.items():
        assert set(fields) == set(inputs.OPERATION_MODELS[name][0].model_fields)


def test_the_catalogue_is_long_enough():
    cases = {call: [case.name for case in cases_of(call)] for call in CALLS}

    assert sum(map(len, cases.values())) >= 3_000
    for call, names in cases.items():
        assert len(set(names)) == len(names), call
        assert len(names) >= 50 or not WRITES[call].body, call


def cases_of(call: str, step: int = 1) -> Iterator[Case]:
    """The bad bodies of a call; of each field every value, or one in `step`."""
    write = WRITES[call]
    if write.body:
        required = schema_of(call).get("required", ())
        for name, bad in write.fields.items():
            yield from islice(of_field(write, name, bad, name in required), None, None, step)
        yield from of_body(write)


# --- one case, and many


def fault(case: Case, reply: Reply) -> str:
    """Say what is wrong with an answer, nothing when it is right."""
    if reply.kind != PROBLEM_TYPE:
        return f"{reply.status} {reply.kind}"
    body = reply.body
    if (reply.status, body["status"], body["code"]) != (case.status, case.status, case.code):
        return f"{reply.status} {body['code']}: {body['detail']}"
    if set(body) != PROBLEM or case.code not in CODES or body["request_id"] != reply.headers["X-Request-ID"]:
        return f"not the shape of a problem: {body}"
    places = [tuple(place["loc"]) for place in body["errors"]]
    named = any(place[: len(case.loc)] == case.loc for place in places) if case.loc is not None else True
    if not named and not (case.is_whole and not places):
        return f"names {places}, not {case.loc}"
    return ""


class Watch:
    """Sends cases group by group and notes every wrong answer and every row that changed."""

    def __init__(self) -> None:
        self.tables = tables()
        self.before = digest(self.tables)
        self.faults: list[str] = []
        self.sent = 0

    def group(self, name: str, cases: Sequence[tuple[str, Send, Judge]]) -> None:
        """Send some cases; when a row changed, find out by which of them."""
        for case, send, judge in cases:
            wrong = judge(send())
            self.sent += 1
            if wrong:
                self.faults.append(f"{name}, {case}: {wrong}")
        if not self.is_same():
            guilty = [case for case, send, _ in cases if send() and not self.is_same()]
            self.faults.append(f"{name}: rows changed by {guilty or [case for case, _, _ in cases]}")

    def is_same(self) -> bool:
        now = digest(self.tables)
        changed = {table for table in self.tables if now[table] != self.before[table]}
        if changed:
            self.faults.append(f"changed: {sorted(changed)}")
        self.before = now
        return not changed


class World:
    """A bot with a row of each kind that calls can name, and the tokens of the callers."""

    def __init__(self) -> None:
        bot: Bot = BotFactory(max_positions=100, leverage_limit=100)
        place(bot, "o1", "buy", "2")
        add_fill(bot, "f1", "o1", "100", "1")
        case = ReconciliationCase.objects.create(kind="position_mismatch", bot=bot, symbol="BTCUSDT")
        risk = RiskEvent.objects.create(
            bot_id=bot.bot_id,
            risk_type="position_limit",
            current_value=4,
            limit_value=3,
            action_taken="new_trades_blocked",
        )
        self.tokens = {
            "bot": bot_caller(bot).headers["Authorization"].removeprefix("Bearer "),
            "staff": staff_caller("admin").headers["Authorization"].removeprefix("Bearer "),
        }
        self.ids = {
            "bot_id": bot.bot_id,
            "order_id": "o1",
            "position_id": Position.objects.get(bot=bot).position_id,
            "case_id": str(case.pk),
            "event_id": str(risk.pk),
            "prefix": BotToken.objects.get(bot=bot).prefix,
        }

    def send(self, door: Door, call: str, case: Case) -> Send:
        method, path = call.split()
        where, token = path.format(**self.ids) + case.query, self.tokens[WRITES[call].by]
        return lambda: door(method, where, token, case.content, case.content_type)


def try_bodies(door: Door, world: World, watch: Watch, call: str, *, all_values: bool) -> None:
    """Send the bad bodies of a call; the cases of one field are one group."""
    groups: dict[str, list[Case]] = {}
    for case in cases_of(call, step=1 if all_values else 12):
        groups.setdefault(case.name.partition(":")[0] if ":" in case.name else "the body", []).append(case)
    for name, cases in groups.items():
        knocks = [(case.name, world.send(door, call, case), partial(fault, case)) for case in cases]
        watch.group(f"{call}, {name}", knocks)


def try_addresses(door: Door, world: World, watch: Watch, call: str) -> None:
    """Send a body to addresses that name nothing, and by methods that the address does not take."""
    _, path = call.split()
    token, content = world.tokens[WRITES[call].by], b"{}"
    plain = path.format(**world.ids)
    tricks = [
        plain + "/",
        plain + "//",
        "/" + plain,
        plain + "/..%2fx",
        plain + ";a=1/x",
        plain + "/a/%00/b",
    ]
    nowhere = Case(name="", content=content, status=404, code="not_found")
    refused = Case(name="", content=content, status=405, code="method_not_allowed")
    cases = [(call.split()[0], address, nowhere) for address in tricks]
    cases += [(method, plain, refused) for method in METHODS if method not in PATHS[path]]
    knocks = [
        (f"{method} {address}", partial(door, method, address, token, content), partial(fault, case))
        for method, address, case in cases
    ]
    watch.group(f"{call}, addresses", knocks)


def try_ids(door: Door, world: World, watch: Watch, call: str) -> None:
    """Put into the address what is no id."""
    method, path = call.split()
    body = WRITES[call].body
    content, token = bad_values.written(body).encode() if body else b"", world.tokens[WRITES[call].by]
    for name in re.findall(r"\{(\w+)\}", path):
        judge = partial(fault, Case(name=name, content=b"", loc=("path", name)))
        ids = bad_values.NO_ADDRESS | (bad_values.NO_NUMBER if name in ("case_id", "event_id") else {})
        where = {what: path.format(**world.ids | {name: value}) for what, value in ids.items()}
        knocks = [(what, partial(door, method, address, token, content), judge) for what, address in where.items()]
        watch.group(f"{call}, {name}", knocks)


def try_operations(door: Door, world: World, watch: Watch) -> None:
    """Each operation of a batch is judged alone: 200, and its own result says what is wrong."""
    for op, (good, fields) in OPERATIONS.items():
        model = inputs.OPERATION_MODELS[op][0]
        for name, bad in fields.items():
            required = model.model_fields[name].is_required()
            values = {**bad, "null": None} if required else bad
            operations = [{"op": op, "data": {**good, name: value}} for value in values.values()]
            content = bad_values.written({"operations": operations}).encode()

            def judge(reply: Reply, values: Any = values, name: str = name) -> str:
                if reply.status != 200:
                    return f"{reply.status} {reply.content!r}"
                results = reply.body["results"]
                taken = [
                    what
                    for what, result in zip(values, results, strict=True)
                    if (result["status"], result["code"]) != (422, "validation_error")
                    or not result["detail"].startswith(f"data.{name}")
                ]
                return f"taken, or another place named: {taken}" if taken else ""

            send = lambda content=content: door("POST", "/batch", world.tokens["bot"], content)  # noqa: E731
            watch.group(f"POST /batch, {op}", [(name, send, judge)])


def try_candles(door: Door, world: World, watch: Watch) -> None:
    """A bad candle is left out alone: 200, and its row is named, as the first hundred bad ones are."""
    names = list(BAD_CANDLES)
    for start in range(0, len(names), 100):
        part = names[start : start + 100]
        content = bad_values.written(CANDLES | {"candles": [BAD_CANDLES[name] for name in part]}).encode()

        def judge(reply: Reply, part: Sequence[str] = part) -> str:
            named = {error["row"] for error in reply.body.get("errors", [])}
            taken = [name for number, name in enumerate(part, 1) if number not in named]
            return f"taken: {taken}" if taken else ""

        send = lambda content=content: door("POST", "/candles", world.tokens["bot"], content)  # noqa: E731
        watch.group("POST /candles", [(f"rows from {start}", send, judge)])


def try_all(door: Door, *, hot: bool) -> Watch:
    """Send the catalogue through one door: every value to the hot calls or to the others, a part to the rest.

    Behind both doors stand the same models. With CASES, as `make test-fuzz` sets it, all goes through both.
    """
    world = World()
    # The first call notes that the token was used.
    assert door("GET", "/me", world.tokens["bot"]).status == 200
    watch = Watch()
    for call in CALLS:
        try_bodies(door, world, watch, call, all_values=(call in HOT) == hot or "CASES" in os.environ)
        try_addresses(door, world, watch, call)
        try_ids(door, world, watch, call)
    try_operations(door, world, watch)
    try_candles(door, world, watch)
    return watch


@pytest.fixture(autouse=True)
def wide_limits(settings: Any) -> None:
    """Let the catalogue through in less than a minute, with keys in Redis of its own."""
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"
    settings.RATE_LIMIT_FACTS_PER_MINUTE = settings.RATE_LIMIT_COMMANDS_PER_MINUTE = 1_000_000


@pytest.mark.django_db
def test_no_bad_input_gets_past_the_views():
    watch = try_all(by_views, hot=False)

    assert not watch.faults, "\n".join(watch.faults)


@pytest.mark.django_db(transaction=True)
def test_no_bad_input_gets_past_the_application_and_its_lane():
    with by_application() as door:
        watch = try_all(door, hot=True)

    assert not watch.faults, "\n".join(watch.faults)
