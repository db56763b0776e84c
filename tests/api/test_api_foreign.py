"""No token learns anything of another bot: what is another's and what does not exist are answered alike.

Each call is asked for what is another bot's in every way it can name something, and then the same of a bot that does
not exist. Status, type, headers and body must be equal but for the name that was given, and nothing of the other bot
may stand in any byte of an answer. One of the others trades on the asker's own exchange account.
"""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.db import transaction
from django.test import Client
from django.utils import timezone

from audit.services.actions import SYSTEM
from bots.api import operations
from bots.models import BotToken, ReconciliationCase
from bots.services.tokens import token_create, token_revoke
from tests.api.conftest import bot_caller
from tests.api.described import description
from tests.api.doors import Door, Reply, by_application, by_views
from tests.api.foreign import LATER, SCOPES, WAYS, Ask, Names, settle
from tests.factories import BotFactory

DESCRIBED = {
    f"{method.upper()} {path.removeprefix('/api/v1')}": call
    for path, calls in description()["paths"].items()
    for method, call in calls.items()
}
HOT = [f"{call.method} {call.path}" for call in operations.CALLS]
# What differs between two answers to the same request: moments, ids of our making, counters.
OWN_MAKING = {
    "request_id", "server_time", "valid_until", "received_at", "created_at", "updated_at", "last_updated", "timestamp",
    "opened_at", "last_seen_at", "event_time", "position_id", "trade_id", "opened_position_id", "id", "last_heartbeat",
}  # fmt: skip
# What bots of one account hold is compared together, so whoever names a symbol hears of the sum.
OF_THE_ACCOUNT = "POST /positions/reported"
OUTSIDE = (
    "/", "/admin/", "/account/login/", "/admin/bots/fill/", "/admin/bots/order/export/", "/admin/bots/bot/", "/metrics",
    "/health/live", "/health/ready", "/docs/problems", "/api/v1/openapi.json", "/api/v1/docs", "/api/v1/nothing",
)  # fmt: skip


class Bots:
    """Who asks, whom it may not see, and who does not exist."""

    def __init__(self, door: Door) -> None:
        self.me = Names(mark="asker", figure="100.5")
        self.others = [Names(mark="zebra", figure="86753.0901"), Names(mark="hyena", figure="42424.2402")]
        self.nobody = Names(mark="okapi")
        self.account = settle(door, self.me).account
        settle(door, self.others[0])
        # On the asker's own exchange account.
        settle(door, self.others[1], self.account)

    def unmarked(self, content: bytes, other: Names) -> str:
        """The answer with the names that were given turned into those of nobody."""
        text = content.decode().replace(other.mark, self.nobody.mark)
        text = text.replace(other.mark.upper(), self.nobody.mark.upper()).replace(other.figure, self.nobody.figure)
        return text.replace(other.position_id, self.nobody.position_id).replace(other.prefix, self.nobody.prefix)

    def leaks(self, reply: Reply, *asked: Ask) -> list[str]:
        """Everything of other bots in an answer that was not in the question, or in one before it."""
        given = " ".join(ask.path + json.dumps(ask.body) for ask in asked)
        text = f"{reply.content.decode()} {dict(reply.headers)}"
        found = []
        for other in self.others:
            ids = (other.position_id, other.prefix, other.token, other.figure)
            words = set(re.findall(rf"[\w-]*{other.mark}[\w-]*", text, re.IGNORECASE)) | {i for i in ids if i in text}
            found += [word for word in words if word not in given]
        return found


@pytest.fixture(autouse=True)
def wide_limits(settings: Any) -> None:
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"


def settled(value: Any) -> Any:
    """An answer's body without what is of our own making."""
    if isinstance(value, dict):
        return {key: settled(inner) for key, inner in value.items() if key not in OWN_MAKING}
    return [settled(inner) for inner in value] if isinstance(value, list) else value


def seen(reply: Reply, text: str) -> tuple[Any, ...]:
    """What a caller can tell two answers apart by."""
    body = settled(json.loads(text)) if text else None
    names = sorted(name.lower() for name in dict(reply.headers))
    return reply.status, reply.kind, names, body


def ask_all(door: Door, bots: Bots, call: str) -> Iterator[str]:
    """Ask a call for what is another's and for what is nobody's, and tell how the answers differ."""

    def ask(question: Ask) -> Reply:
        with transaction.atomic():
            reply = send(door, call, question, bots.me.token)
            transaction.set_rollback(True)
        return reply

    for other in bots.others:
        for foreign, unknown in zip(WAYS[call](bots.me, other), WAYS[call](bots.me, bots.nobody), strict=True):
            one, two = ask(foreign), ask(unknown)
            told, expected = seen(one, bots.unmarked(one.content, other)), seen(two, two.content.decode())
            if told != expected and not (call == OF_THE_ACCOUNT and other is bots.others[1]):
                yield f"{call} {foreign}: {told}, but for nobody's {expected}"
            for reply, question in ((one, foreign), (two, unknown)):
                if leaked := bots.leaks(reply, question):
                    yield f"{call} {question}: {leaked} in {reply.content!r}"


def test_every_call_is_in_the_matrix():
    assert set(WAYS) == set(DESCRIBED)
    assert set(SCOPES) == {name for name, call in DESCRIBED.items() if {"BotToken": []} in call["security"]}


@pytest.mark.django_db
def test_what_is_anothers_looks_like_what_does_not_exist():
    bots = Bots(by_views)

    faults = [fault for call in WAYS for fault in ask_all(by_views, bots, call)]
    assert not faults, "\n".join(faults)


@pytest.mark.django_db
def test_a_report_is_told_nothing_of_what_only_others_of_the_account_hold():
    bots = Bots(by_views)
    ask = Ask("/positions/reported", {"positions": [], "as_of": LATER})

    reply = send(by_views, OF_THE_ACCOUNT, ask, bots.me.token)

    assert [case["symbol"] for case in reply.body["cases"]] == [bots.me.symbol]
    opened = ReconciliationCase.objects.filter(kind="position_mismatch").values_list("symbol", flat=True)
    assert {*opened} == {bots.me.symbol, bots.others[1].symbol}


@pytest.mark.django_db
def test_an_execution_of_another_bot_of_the_account_is_refused_without_its_name():
    bots = Bots(by_views)
    elsewhere, beside = bots.others
    order = bots.me.order(order_id="new-order")
    answers = {}

    for other in bots.others:
        fill = bots.me.fill(
            fill_id=f"new-{other.figure}", order_id="new-order", exchange_trade_id=other.exchange_trade_id
        )
        ask = Ask("/fills", fill | {"order": order | {"symbol": other.symbol, "order_id": "new-order"}})
        with transaction.atomic():
            reply = answers[other.mark] = send(by_views, "POST /fills", ask, bots.me.token)
            assert bots.leaks(reply, ask) == []
            transaction.set_rollback(True)

    assert answers[elsewhere.mark].status == 201
    assert (answers[beside.mark].status, answers[beside.mark].body["code"]) == (409, "duplicate_execution")


@pytest.mark.django_db
def test_the_search_for_leaks_finds_what_is_there():
    bots = Bots(by_views)
    other = bots.others[0]

    for call in SCOPES:
        if call.startswith("GET") and call not in ("GET /permit", "GET /candles"):
            ask = Ask(call.split()[1])
            assert bots.leaks(by_views("GET", ask.path, other.token), ask), call


@pytest.mark.django_db(transaction=True)
def test_the_lane_tells_no_more_than_the_views():
    with by_application() as door:
        bots = Bots(door)
        faults = [fault for other in bots.others for fault in ask_lane(door, bots, other)]

    assert not faults, "\n".join(faults)


def ask_lane(door: Door, bots: Bots, other: Names) -> Iterator[str]:
    """Here what is asked stays: two new bots of one account ask the same, one for what is another's."""
    askers = [Names(mark=f"asker-{who}-of-{other.figure[:3]}", figure="100.5") for who in ("one", "two")]
    for asker in askers:
        settle(door, asker, bots.account)
    asked: list[Ask] = []
    for call in HOT:
        pairs = zip(WAYS[call](askers[0], other), WAYS[call](askers[1], bots.nobody), strict=True)
        for foreign, unknown in pairs:
            one, two = (
                send(door, call, ask, asker.token) for ask, asker in zip((foreign, unknown), askers, strict=True)
            )
            if (one.status, one.kind, shape_of(one.body)) != (two.status, two.kind, shape_of(two.body)):
                yield f"{call} {foreign}: {one}, but for nobody's {two}"
            asked += (foreign, unknown)
            if leaked := bots.leaks(one, *asked) + bots.leaks(two, *asked):
                yield f"{call} {foreign}: {leaked}"


def shape_of(value: Any) -> Any:
    """The fields of a body, and the words that say what became of the request."""
    if isinstance(value, dict):
        told = ("code", "status", "flags", "allowed", "received", "stored", "replayed", "accepted")
        names = {key: key if "asker" not in key else "asker" for key in value}
        return {names[key]: inner if key in told else shape_of(inner) for key, inner in value.items()}
    return [shape_of(inner) for inner in value] if isinstance(value, list) else type(value)


def send(door: Door, call: str, ask: Ask, token: str | None) -> Reply:
    return door(call.split()[0], ask.path, token, b"" if ask.body is None else json.dumps(ask.body).encode())


@pytest.mark.django_db
def test_nothing_outside_the_api_tells_a_bot_of_others():
    bots = Bots(by_views)
    client = Client(headers={"Authorization": f"Bearer {bots.me.token}"})

    for path in OUTSIDE:
        response = client.get(path)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        assert response.status_code in (200, 302, 404, 503), path
        assert bots.leaks(Reply(response.status_code, "", content, response.headers), Ask(path)) == [], path


@pytest.mark.django_db
def test_no_page_and_no_export_of_the_admin_opens_to_a_token():
    bots = Bots(by_views)
    client = Client(headers={"Authorization": f"Bearer {bots.me.token}"})
    client.cookies["sessionid"] = bots.me.token
    pages = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in site._registry]
    assert len(pages) > 30

    for page in pages:
        for ask in (client.get, client.post):
            answers = [ask(page + where) for where in ("", "export/", "1/change/", "add/")]
            assert {answer.status_code for answer in answers} == {302}, page
            assert all(answer["Location"].startswith("/admin/login/") for answer in answers), page


def knock(door: Door, call: str, token: str | None) -> Reply:
    """Send a call with its plainest request."""
    me = Names(mark="asker")
    return send(door, call, WAYS[call](me, me)[0], token)


@pytest.mark.django_db
@pytest.mark.parametrize("call", SCOPES)
def test_a_call_without_its_scope_is_403(call: str):
    others = sorted(set(SCOPES.values()) - {SCOPES[call]})
    bot = BotFactory()
    token = bot_caller(bot, *others).headers["Authorization"].removeprefix("Bearer ")

    reply = knock(by_views, call, token)

    assert (reply.status, reply.body["code"]) == (403, "forbidden")


def closed_tokens() -> dict[str, str]:
    """Tokens that open nothing, by why."""
    bot = BotFactory()
    revoked, expired = (token_create(bot_id=bot.bot_id, actor=SYSTEM) for _ in range(2))
    token_revoke(bot_id=bot.bot_id, prefix=revoked.row.prefix, actor=SYSTEM)
    BotToken.objects.filter(pk=expired.row.pk).update(
        created_at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(seconds=1)
    )
    live = token_create(bot_id=bot.bot_id, actor=SYSTEM).token
    return {
        "revoked": revoked.token,
        "expired": expired.token,
        "wrong": live[:-1] + ("A" if live[-1] != "A" else "B"),
        "unknown": "tdb_demo_AAAAAAAAAAAA." + live.partition(".")[2],
    }


def refusals(door: Door, calls: list[str]) -> Iterator[str]:
    tokens = closed_tokens()
    for call in calls:
        answers = {why: knock(door, call, token) for why, token in tokens.items()}
        told = {json.dumps(settled(reply.body)) for reply in answers.values()}
        if {reply.status for reply in answers.values()} != {401} or len(told) != 1:
            yield f"{call}: {answers}"


@pytest.mark.django_db
def test_revoked_expired_wrong_and_unknown_tokens_are_refused_alike_by_every_call():
    assert list(refusals(by_views, list(WAYS))) == []


@pytest.mark.django_db(transaction=True)
def test_the_lane_refuses_them_alike_and_asks_for_scopes():
    with by_application() as door:
        assert list(refusals(door, HOT)) == []
        for call in HOT:
            others = sorted(set(SCOPES.values()) - {SCOPES[call]})
            token = bot_caller(BotFactory(), *others).headers["Authorization"].removeprefix("Bearer ")
            reply = knock(door, call, token)
            assert (call, reply.status, reply.body["code"]) == (call, 403, "forbidden")
