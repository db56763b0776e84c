"""The lane and Django's views give the same answers to the same calls: one rule, two shells."""

import asyncio
import json
import uuid
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
import pytest
from django.core.asgi import get_asgi_application
from django.db import connection
from django.test import Client
from django.utils import timezone

from audit.services.actions import SYSTEM
from bots.api.lane import Lane
from bots.models import Bot, BotToken, ControlState, Fill, Position, Signal
from bots.services.tokens import token_create
from marketdata.models import Candle
from tests.bots.ledger_tools import START, at
from tests.factories import BotFactory

pytestmark = pytest.mark.django_db(transaction=True)
BASE = "/api/v1"


class Step(NamedTuple):
    """One call of the script."""

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Answer(NamedTuple):
    """What came back, without what must differ: ids with the bot's name in them, times of writing, request ids."""

    status: int
    is_replay: bool
    content_type: str
    body: Any


VOLATILE = {
    "bot_id", "position_id", "trade_id", "opened_position_id", "request_id", "received_at", "updated_at",
    "last_updated", "server_time", "version", "valid_until", "created_at", "since", "id",
}  # fmt: skip


def settled(value: Any) -> Any:
    """Return the body without volatile fields."""
    if isinstance(value, dict):
        return {key: settled(inner) for key, inner in value.items() if key not in VOLATILE}
    return [settled(inner) for inner in value] if isinstance(value, list) else value


def order(order_id: str, side: str, quantity: str, **more: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "symbol": "BTCUSDT",
        "side": side,
        "order_type": "market",
        "quantity": quantity,
        **more,
    }


def fill(fill_id: str, order_id: str, price: Any, quantity: str, minute: float, **more: Any) -> dict[str, Any]:
    return {
        "fill_id": fill_id,
        "order_id": order_id,
        "price": price,
        "quantity": quantity,
        "executed_at": at(minute),
        **more,
    }


BALANCE = {"balance_id": "b1", "total_balance": "-1", "available_balance": "0", "equity": "900.5", "timestamp": at(1)}
EVENT = {"event_id": "e1", "event_type": "INFO", "event_level": "INFO", "message": "hello", "details": {"n": 1.5}}
SIGNAL = {
    "signal_id": "s1", "symbol": "BTCUSDT", "signal_type": "long", "price": "100", "strategy": "x", "strength": "0.5",
    "timestamp": at(0), "indicators": {"ema": 1.25, "deep": {"list": [1, "two", None]}},
}  # fmt: skip
SOON = (timezone.now() + timedelta(hours=1)).isoformat()
CARRIED = order("carried", "buy", "1", status="filled", created_at=at(7))
SCRIPT = [
    Step("GET", "/permit"),
    Step("POST", "/heartbeat", {"equity": "1000", "latency_ms": 12.5}),
    Step("POST", "/signals", SIGNAL),
    Step("POST", "/signals", {**SIGNAL, "strength": "0.50"}),
    Step("POST", "/signals", {**SIGNAL, "price": "101"}),
    Step("POST", "/risk/check", order("o1", "buy", "2")),
    Step("POST", "/orders", order("o1", "buy", "2", signal_id="s1", order_purpose="entry", order_metadata={"y": 1})),
    Step("POST", "/orders", order("o1", "buy", "2.0", signal_id="s1", order_purpose="entry", order_metadata={"y": 1})),
    Step("POST", "/orders", order("o1", "buy", "3")),
    Step("POST", "/orders", order("big", "buy", "1", leverage="500")),
    Step("POST", "/orders", order("big", "buy", "1", leverage="500")),
    Step("PATCH", "/orders/o1", {"status": "submitted", "exchange_order_id": "x-1", "at": at(0)}),
    Step("PATCH", "/orders/o1", {"status": "submitted", "exchange_order_id": "x-1", "at": at(0)}),
    Step("PATCH", "/orders/o1", {"status": "pending"}),
    Step("POST", "/fills", fill("f1", "o1", "100.5", "0.5", 1, fee="0.01", exchange_trade_id="t1")),
    Step("POST", "/fills", fill("f1", "o1", 100.50, "0.50", 1, fee="0.010", exchange_trade_id="t1")),
    Step("POST", "/fills", fill("f1", "o1", "100.5", "0.6", 1, fee="0.01", exchange_trade_id="t1")),
    Step("POST", "/fills", fill("f1b", "o1", "100.5", "0.5", 1, exchange_trade_id="t1")),
    Step("POST", "/fills", fill("f3", "o1", "103", "1", 3, fee="0.001", fee_currency="BTC", liquidity="maker")),
    # Late: folded between the others.
    Step("POST", "/fills", fill("f2", "o1", "102", "0.5", 2, fee="0.01", fee_currency="BNB")),
    Step("POST", "/orders", order("o2", "sell", "5", intent="report", order_purpose="exit", created_at=at(4))),
    Step("POST", "/fills", fill("f4", "o2", "110", "5", 5, fee="1")),
    Step("POST", "/fills", fill("f4", "o2", "110", "5", 5, fee="1")),
    Step("POST", "/fills", fill("p1", "later", "111", "1", 6)),
    Step("POST", "/fills", fill("p1", "later", "111", "1", 6)),
    Step("POST", "/fills", fill("p1", "later", "112", "1", 6)),
    Step("PATCH", "/orders/later", {"status": "submitted", "at": at(6)}),
    Step("POST", "/orders", order("later", "buy", "2", intent="report", created_at=at(6))),
    Step("POST", "/fills", fill("c1", "carried", "111", "1", 7, order=CARRIED)),
    Step("POST", "/fills", fill("c1", "nowhere", "112", "1", 7, order=CARRIED | {"order_id": "nowhere"})),
    Step("PATCH", "/orders/nowhere", {"status": "submitted", "at": at(8)}),
    Step("POST", "/fills", fill("over", "carried", "111", "0.25", 8)),
    Step("GET", "/permit"),
    Step("POST", "/orders", order("o9", "buy", "100")),
    Step("POST", "/heartbeat", {}),
    Step("POST", "/balances", BALANCE),
    Step("POST", "/balances", BALANCE),
    Step("POST", "/balances", {**BALANCE, "equity": "1"}),
    Step("POST", "/balances", {**BALANCE, "balance_id": "d1", "snapshot_type": "deposit", "amount": "50"}),
    Step("POST", "/events", {"events": [EVENT, {**EVENT, "event_id": "e2"}]}),
    Step("POST", "/events", {"events": [EVENT]}),
    Step("POST", "/events", {"events": [{**EVENT, "message": "other"}, {**EVENT, "event_id": "e3"}]}),
    Step("POST", "/prices", {"prices": [{"symbol": "BTCUSDT", "price": "120", "timestamp": at(9)}]}),
    Step(
        "POST", "/batch",
        {
            "operations": [
                {"op": "order", "data": order("bo", "sell", "1", intent="report")},
                {"op": "fill", "data": fill("bf1", "bo", "120", "0.5", 10)},
                {"op": "fill", "data": fill("bf1", "bo", "120", "0.5", 10)},
                {"op": "fill", "data": fill("bf1", "bo", "121", "0.5", 10)},
                {"op": "fill", "data": fill("bf2", "bo", "NaN", "0.5", 10)},
                {"op": "order_update", "data": {"order_id": "bo", "status": "cancelled", "at": at(11)}},
                {"op": "signal", "data": {**SIGNAL, "signal_id": "s2"}},
                {"op": "balance", "data": {**BALANCE, "balance_id": "b2"}},
                {"op": "event", "data": {**EVENT, "event_id": "e9"}},
                {"op": "order", "data": order("refused", "buy", "9", leverage="500")},
                {"op": "event", "data": {"event_id": "bad"}},
            ]
        },
    ),
    Step("POST", "/batch", {"operations": []}),
    Step("POST", "/fills", {"fill_id": "x"}),
    Step("POST", "/fills", fill("n1", "o1", "1e400", "1", 1)),
    Step("POST", "/fills", fill("n2", "o1", "1.1234567890123456789", "1", 1)),
    Step("POST", "/fills", fill("n3", "o1", "-1", "1", 1)),
    Step("POST", "/fills", fill("n4", "o1", "1", "1", 1, bot_id="somebody")),
    Step("POST", "/fills", fill("n5", "o1", "1", "1", 1) | {"executed_at": "2026-03-01T12:00:00"}),
    Step("POST", "/fills", fill("n6", "o1", "1", "1", 1) | {"executed_at": SOON}),
    Step("POST", "/fills", b'{"fill_id": "a", "fill_id": "b"}'),
    Step("POST", "/fills", b'{"price": NaN}'),
    Step("POST", "/fills", b'{"fill_id": "\\u0000"}'),
    Step("POST", "/fills", b"nonsense"),
    Step("POST", "/fills", b"{}", "text/plain"),
    Step("POST", "/fills", b" " * (1024 * 1024 + 1)),
]  # fmt: skip


def through_django(token: str, steps: list[Step]) -> list[Answer]:
    client, headers = Client(), {"Authorization": f"Bearer {token}"}
    answers = []
    for step in steps:
        content = b"" if step.method == "GET" else step.content
        response = client.generic(step.method, BASE + step.path, content, step.content_type, headers=headers)
        answers.append(answer_of(response.status_code, response.headers, response.content))
    return answers


def through_lane(token: str, steps: list[Step]) -> list[Answer]:
    async def drive() -> list[Answer]:
        lane = Lane(get_asgi_application())
        answers = []
        try:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=lane), base_url="http://127.0.0.1"
            ) as client:
                for step in steps:
                    headers = {"Authorization": f"Bearer {token}"}
                    if step.method != "GET":
                        headers["Content-Type"] = step.content_type
                    content = None if step.method == "GET" else step.content
                    response = await client.request(step.method, BASE + step.path, content=content, headers=headers)
                    answers.append(answer_of(response.status_code, response.headers, response.content))
        finally:
            await lane.close()
        return answers

    return asyncio.run(drive())


def answer_of(status: int, headers: Any, content: bytes) -> Answer:
    kind = headers["Content-Type"].partition(";")[0]
    return Answer(status, headers.get("Idempotent-Replay") == "true", kind, settled(json.loads(content)))


@pytest.fixture(autouse=True)
def own_keys(settings: Any) -> None:
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"


@pytest.fixture
def rate(db: None) -> None:
    prices = {"open_price": 300, "high_price": 300, "low_price": 300, "close_price": 300, "volume": 1}
    Candle.objects.create(symbol="BNBUSDT", exchange="bybit", interval="1m", timestamp=START, **prices)


def new_bot() -> tuple[Bot, str]:
    bot = BotFactory(max_positions=100, leverage_limit=100)
    return bot, token_create(bot_id=bot.bot_id, actor=SYSTEM).token


def test_both_shells_answer_alike_and_leave_the_same_ledger(rate: None) -> None:
    (one, one_token), (two, two_token) = new_bot(), new_bot()

    by_django = through_django(one_token, SCRIPT)
    by_lane = through_lane(two_token, SCRIPT)

    for step, django_answer, lane_answer in zip(SCRIPT, by_django, by_lane, strict=True):
        assert lane_answer == json_without(django_answer, one.bot_id, two.bot_id), step
    # The script reaches every kind of answer.
    assert {answer.status for answer in by_lane} == {200, 201, 202, 400, 409, 413, 415, 422}
    assert sum(answer.is_replay for answer in by_lane) >= 8
    columns = ("side", "size", "realized_pnl", "fees", "status", "avg_entry_price", "cost_basis")
    positions = [
        list(Position.objects.filter(bot=bot).order_by("opened_at").values_list(*columns)) for bot in (one, two)
    ]
    assert positions[0] == positions[1] != []
    signal = Signal.objects.get(bot=two, signal_id="s1")
    assert (signal.executed, signal.execution_order_id) == (True, "o1")
    assert ControlState.objects.get(scope="bot", target=two.bot_id).state == "REDUCING"


@pytest.mark.parametrize("through", [through_django, through_lane])
@pytest.mark.parametrize("with_others", [True, False], ids=["among orders", "by itself"])
def test_an_operation_that_the_database_refuses_fails_alone(rate: None, through: Any, with_others: bool) -> None:
    bot, token = new_bot()
    bad, good = ({"op": "signal", "data": {**SIGNAL, "signal_id": name, "symbol": name}} for name in ("DOGE", "FINE"))
    others = [
        {"op": "order", "data": order("o1", "buy", "2", intent="report")},
        *({"op": "fill", "data": fill(f"f{n}", "o1", "100", "1", n)} for n in range(2)),
    ]
    body = {"operations": [bad, *(others if with_others else []), good]}
    with connection.cursor() as cursor:
        # A rule that only the database knows.
        cursor.execute("ALTER TABLE signals ADD CONSTRAINT no_doge CHECK (symbol <> 'DOGE')")
    try:
        (answer,) = through(token, [Step("POST", "/batch", body)])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE signals DROP CONSTRAINT no_doge")

    assert answer.status == 200
    statuses = [result["status"] for result in answer.body["results"]]
    assert statuses == [422, *([201] * 3 if with_others else []), 201]
    assert answer.body["results"][0]["code"] == "not_stored"
    assert list(Signal.objects.filter(bot=bot).values_list("signal_id", flat=True)) == ["FINE"]


def json_without(answer: Answer, old: str, new: str) -> Answer:
    """Return the answer with one bot's name for the other's."""
    return answer._replace(body=json.loads(json.dumps(answer.body).replace(old, new)))


def test_revoked_token_is_refused_at_once(rate: None) -> None:
    async def drive() -> list[int]:
        lane = Lane(get_asgi_application())
        try:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=lane), base_url="http://127.0.0.1"
            ) as client:
                headers = {"Authorization": f"Bearer {token}"}
                first = await client.get(f"{BASE}/permit", headers=headers)
                await asyncio.to_thread(revoke)
                second = await client.get(f"{BASE}/permit", headers=headers)
                return [first.status_code, second.status_code]
        finally:
            await lane.close()

    def revoke() -> None:
        BotToken.objects.update(revoked_at=timezone.now())
        connection.close()

    _, token = new_bot()

    assert asyncio.run(drive()) == [200, 401]


def test_unknown_and_wrong_tokens_are_refused_alike(rate: None) -> None:
    _, token = new_bot()
    prefix, _, secret = token.partition(".")
    unknown = "tdb_demo_AAAAAAAAAAAA." + secret
    wrong = prefix + "." + secret[:-1] + ("A" if secret[-1] != "A" else "B")

    answers = [through_lane(bad, [Step("GET", "/permit")])[0] for bad in (unknown, wrong)]

    assert answers[0] == answers[1]
    assert (answers[0].status, answers[0].body["code"]) == (401, "not_authenticated")


def test_scope_is_needed(rate: None) -> None:
    bot, _ = new_bot()
    token = token_create(bot_id=bot.bot_id, actor=SYSTEM, scopes=["read"]).token

    (answer,) = through_lane(token, [Step("POST", "/fills", fill("f1", "o1", "1", "1", 0))])

    assert (answer.status, Fill.objects.count()) == (403, 0)


def test_too_many_calls_are_told_to_wait(rate: None, settings: Any) -> None:
    settings.RATE_LIMIT_READS_PER_MINUTE = 2
    _, token = new_bot()

    answers = through_lane(token, [Step("GET", "/permit")] * 3)

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].body["code"] == "rate_limited"


def test_writers_at_the_same_time_count_each_fill_once(rate: None) -> None:
    bot, token = new_bot()

    async def drive() -> list[int]:
        lane = Lane(get_asgi_application())
        try:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=lane), base_url="http://127.0.0.1"
            ) as client:
                headers = {"Authorization": f"Bearer {token}"}
                body = order("o1", "buy", "1000", intent="report")
                await client.post(f"{BASE}/orders", json=body, headers=headers)
                # Every fill three times, all at once, from many connections of the pool.
                sends = [
                    client.post(f"{BASE}/fills", json=fill(f"f{n}", "o1", "100", "1", n), headers=headers)
                    for n in range(40)
                    for _ in range(3)
                ]
                return [response.status_code for response in await asyncio.gather(*sends)]
        finally:
            await lane.close()

    statuses = asyncio.run(drive())

    assert sorted(statuses) == [200] * 80 + [201] * 40
    assert Position.objects.get(bot=bot).size == 40
