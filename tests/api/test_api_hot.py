"""The hot calls as Django answers them: to strangers and staff always, to bots where there is no lane."""

from typing import Any

import pytest

from bots.api.hot import ANSWERS
from bots.api.operations import CALLS
from bots.models import Bot, Fill, Order
from tests.api.conftest import Caller, bot_caller

ORDER: dict[str, Any] = {
    "order_id": "o1", "symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "0.5",
}  # fmt: skip
FILL: dict[str, Any] = {
    "fill_id": "f1", "order_id": "o1", "price": "100000", "quantity": "0.5", "executed_at": "2026-11-19T09:30:00Z",
}  # fmt: skip


def test_every_hot_call_has_a_view_with_its_answers():
    assert set(ANSWERS) == {f"{call.method} {call.path}" for call in CALLS}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_strangers_and_staff_hear_why_not(admin: Caller, call: Any):
    path = call.path.replace("{order_id}", "o1")

    assert Caller().send(call.method, path, {}).status_code == 401
    assert admin.send(call.method, path, {}).status_code == 403


def test_a_bot_is_served_without_the_lane(api: Caller, bot: Bot):
    answers = [
        api.post("/heartbeat", {"equity": "10000"}),
        api.get("/permit"),
        api.post("/orders", ORDER),
        api.post("/fills", FILL),
        api.post("/fills", FILL),
        api.post("/fills", {**FILL, "price": "1"}),
        api.post("/fills", {**FILL, "fill_id": "f2", "order_id": "unknown"}),
        api.patch("/orders/o1", {"status": "cancelled"}),
        api.post("/prices", {"prices": [{"symbol": "BTCUSDT", "price": 1, "timestamp": "2026-11-19T09:30:00Z"}]}),
        api.post("/batch", {"operations": [{"op": "order", "data": {**ORDER, "order_id": "o2"}}]}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 201, 201, 200, 409, 202, 200, 202, 200]
    assert answers[4]["Idempotent-Replay"] == "true"
    assert answers[3].json()["position"]["size"] == "0.5"
    assert answers[7].json()["flags"] == ["invalid_transition"]
    assert Order.objects.get(bot=bot, order_id="o1").status == "filled"
    assert Fill.objects.filter(bot=bot).count() == 1
    (position,) = api.get("/positions", status="open").json()["items"]
    assert (position["symbol"], position["side"], position["avg_entry_price"]) == ("BTCUSDT", "long", "100000")


def test_the_body_decides_the_bucket(api: Caller, settings):
    settings.RATE_LIMIT_COMMANDS_PER_MINUTE = 1

    requests = [api.post("/orders", {**ORDER, "order_id": f"o{number}"}).status_code for number in range(2)]
    report = api.post("/orders", {**ORDER, "order_id": "o9", "intent": "report"})

    assert requests == [201, 429]
    assert report.status_code == 201


def test_a_hot_call_needs_its_scope_and_a_sound_body(api: Caller, bot: Bot):
    assert bot_caller(bot, "read").post("/fills", FILL).status_code == 403
    assert api.post("/fills", {**FILL, "bot_id": bot.bot_id}).status_code == 422
    assert api.post("/fills", b"").status_code == 400
    assert api.post("/fills", b"{}", content_type="text/plain").status_code == 415
    assert Fill.objects.count() == 0
