"""Django's views of the hot calls, made from the table of the lane.

In production the lane in front of Django answers the bots; here staff and strangers hear their answer, and bots too
where there is no lane (tests, WSGI). Bodies, plans and answers are the same.
"""

from collections.abc import Callable
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Path
from pydantic import BaseModel

from bots.api import rows
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import for_bots, keep_to_limit
from bots.api.operations import CALLS, Call
from bots.api.routers import bots as router
from bots.choices import ControlLevel
from bots.services.context import run_for
from tradingdb.lib.schema import Ident

Body = dict[int, Any]


class PermitOut(BaseModel):
    """Whether the bot may place new orders; without a valid permit it may not."""

    state: Literal[tuple(ControlLevel.values)]  # type: ignore[valid-type]
    version: int
    valid_until: TimeOut
    reasons: list[str]


class HaltOut(BaseModel):
    """The strictest restriction in force."""

    id: int
    scope: str
    reason: str
    since: TimeOut


class RestrictedOut(HaltOut):
    """One restriction in force, of the bot or of a symbol."""

    target: str
    state: Literal[tuple(ControlLevel.values)]  # type: ignore[valid-type]


class HeartbeatOut(BaseModel):
    """What a bot is told with every heartbeat. `halt` is the strictest restriction of the bot, `halts` lists all."""

    server_time: TimeOut
    bot_status: str
    permit: PermitOut
    halt: HaltOut | None
    halts: list[RestrictedOut]
    config_versions: dict[str, int]


class ReasonOut(BaseModel):
    """One rule that refuses an order; of a limit also its unit, what is left of it, and what it counts."""

    rule: str
    current: str
    limit: str
    unit: str | None = None
    headroom: str | None = None
    subject: str | None = None


class LimitUseOut(BaseModel):
    """How far a limit is used now and would be with the order; `unknown` without a price of the symbol."""

    rule: str
    subject: str
    unit: str
    current: str
    with_order: str
    limit: str
    headroom: str


class RiskCheckOut(BaseModel):
    """Whether the order would be admitted, what refuses it, and how far each limit is used. Nothing is stored."""

    allowed: bool
    reasons: list[ReasonOut]
    limits: list[LimitUseOut]
    size_factor: str


class FillEffectsOut(BaseModel):
    """A fill, and its order, position and trade after it."""

    fill: rows.FillOut  # type: ignore[valid-type]
    order: rows.OrderOut  # type: ignore[valid-type]
    position: rows.PositionOut | None  # type: ignore[valid-type]
    trade: rows.TradeOut | None  # type: ignore[valid-type]
    flags: list[str]


class ParkedAnswer(BaseModel):
    """A fact that came before its order: it is on disk and will be applied with it."""

    state: Literal["parked"]
    order_id: str
    fill_id: str | None = None


class EventsOut(BaseModel):
    """How many events came, are new, and were known."""

    received: int
    stored: int
    replayed: int


class ResultOut(BaseModel):
    """What became of one operation of a batch; `code` names an error."""

    status: int
    id: str
    code: str | None = None
    detail: str | None = None
    flags: list[str] | None = None


class BatchOut(BaseModel):
    """One result an operation, in their order."""

    results: list[ResultOut]


class PricesOut(BaseModel):
    """How many prices were taken."""

    accepted: int


ANSWERS: dict[str, Body] = {
    "GET /permit": {200: PermitOut},
    "POST /heartbeat": {200: HeartbeatOut},
    "POST /signals": {201: rows.SignalOut, 200: rows.SignalOut},
    "POST /risk/check": {200: RiskCheckOut},
    "POST /orders": {201: rows.OrderOut, 200: rows.OrderOut},
    "PATCH /orders/{order_id}": {200: rows.OrderOut | ParkedAnswer, 202: ParkedAnswer},
    "POST /fills": {201: FillEffectsOut, 200: FillEffectsOut | ParkedAnswer, 202: ParkedAnswer},
    "POST /balances": {201: rows.BalanceOut, 200: rows.BalanceOut},
    "POST /events": {201: EventsOut, 200: EventsOut},
    "POST /batch": {200: BatchOut},
    "POST /prices": {202: PricesOut},
}


def respond(call: Call, request: HttpRequest, body: Any, order_id: str = "") -> HttpResponse:
    """Run a hot call for the bot at the door, as the lane does."""
    bot_id: str = request.auth.bot_id  # type: ignore[attr-defined]
    keep_to_limit(bot_id, call.bucket(body))
    outcome = run_for(bot_id, call.plan(body, order_id))
    return answer(outcome.body, status=outcome.status, replayed=outcome.replayed)


def view_of(call: Call) -> Callable[..., HttpResponse]:
    """Return the view of a hot call; ninja reads off its arguments what the call takes."""

    def without_body(request: HttpRequest) -> HttpResponse:
        return respond(call, request, call.model())

    def with_body(request: HttpRequest, body: Any) -> HttpResponse:
        return respond(call, request, body)

    def of_order(request: HttpRequest, order_id: Path[Ident], body: Any) -> HttpResponse:
        return respond(call, request, body, order_id)

    view = without_body if call.method == "GET" else of_order if "{order_id}" in call.path else with_body
    if call.method != "GET":
        view.__annotations__["body"] = call.model
    view.__name__ = "_".join((call.method.lower(), *call.path.strip("/").split("/"))).replace("{order_id}", "order")
    view.__doc__ = call.summary + "."
    return view


for _call in CALLS:
    _more = (409,) if _call.path in ("/signals", "/orders", "/fills", "/balances", "/events") else ()
    _sizes = () if _call.method == "GET" else (413, 415)
    router.add_api_operation(
        _call.path,
        [_call.method],
        view_of(_call),
        # The bucket depends on the body; the view counts.
        auth=for_bots(_call.scope, None),
        response={**ANSWERS[f"{_call.method} {_call.path}"], **errors(*_more, *_sizes)},
        summary=_call.summary,
    )
