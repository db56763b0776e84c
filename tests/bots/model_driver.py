"""The model's facts, told to the real ledger through the services, and its answers in the model's words."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bots.api import inputs
from bots.services.fills import order_add_fill
from bots.services.orders import order_apply_news, order_place
from bots.services.plan import Outcome
from tests.bots.ledger_tools import at
from tests.bots.model_ledger import Answer
from tests.bots.model_told import Told, ToldFill, ToldOrder
from tradingdb.lib.errors import DomainError

Spell = Callable[[Decimal], str]


def body_of(told: Told, spell: Spell = "{:f}".format) -> dict[str, Any]:
    """Return a fact as a bot sends it; numbers can be spelled in many ways."""
    body = {name: value for name, value in told._asdict().items() if value is not None}
    body = {name: spell(value) if isinstance(value, Decimal) else value for name, value in body.items()}
    moment = body.pop("at", None)
    if moment is not None:
        body["executed_at" if isinstance(told, ToldFill) else "at"] = at(moment)
    return body


def answer_of(call: Callable[[], Outcome]) -> Answer:
    """Return what a call was answered with, in the model's words."""
    try:
        outcome = call()
    except DomainError as e:
        rules = tuple(reason["rule"] for reason in e.detail.get("reasons", ()))  # type: ignore[attr-defined]
        return Answer(e.http_status, bool(e.detail.get("is_replay")), rules=rules, code=e.code)
    return Answer(outcome.status, outcome.replayed, tuple(outcome.body.get("flags", ())))


def say(bot_id: str, told: Told, spell: Spell = "{:f}".format) -> Answer:
    """Tell one fact by its own call. An order's answer has the order's flags, which are compared in its table."""
    body = body_of(told, spell)
    if isinstance(told, ToldOrder):
        order = inputs.OrderIn.model_validate(body).to_domain()
        return answer_of(lambda: order_place(bot_id=bot_id, order=order))._replace(flags=())
    if isinstance(told, ToldFill):
        fill = inputs.FillIn.model_validate(body).to_domain()
        return answer_of(lambda: order_add_fill(bot_id=bot_id, fill=fill))
    order_id = body.pop("order_id")
    news = inputs.OrderUpdateIn.model_validate(body).to_domain(order_id)
    return answer_of(lambda: order_apply_news(bot_id=bot_id, news=news))
