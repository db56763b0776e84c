"""The hot calls: what each takes, needs and does. Django's views and the ASGI lane both work from this table."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from bots.api import inputs
from bots.choices import OrderIntent, TokenScope
from bots.ledger.facts import Fact
from bots.live.publish import LiveUpdate
from bots.services.balances import record_balance
from bots.services.batch import Batch, Operation
from bots.services.carried_orders import record_fill_with_order
from bots.services.context import BotContext
from bots.services.events import record_events
from bots.services.fills import record_fill
from bots.services.heartbeats import record_heartbeat
from bots.services.orders import record_order, record_order_news
from bots.services.permits import get_permit
from bots.services.plan import Last, Outcome, Plan
from bots.services.risk import check_order
from bots.services.signals import record_signal
from tradingdb.lib.errors import ValidationFailed
from tradingdb.lib.schema import StrictModel, validated
from tradingdb.lib.strictjson import BULK_LIMIT, DEFAULT_LIMIT

Bucket = Literal["facts", "commands", "reads"]
MakePlan = Callable[[BotContext], Plan[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One hot call. `plan` turns the validated body, and the order id of the path, into the plan to run."""

    method: str
    path: str
    model: type[StrictModel]
    plan: Callable[[Any, str], MakePlan]
    scope: TokenScope = TokenScope.LEDGER_WRITE
    bucket: Callable[[Any], Bucket] = lambda _: "facts"
    limit: int = DEFAULT_LIMIT
    summary: str = ""


def _heartbeat(body: inputs.HeartbeatIn, _: str) -> MakePlan:
    return lambda bot: record_heartbeat(bot, body.to_domain())


def _permit(_: inputs.EmptyIn, __: str) -> MakePlan:
    def plan(bot: BotContext) -> Plan[Outcome]:
        return Outcome(200, (yield from get_permit(bot)))

    return plan


def _signal(body: inputs.SignalIn, _: str) -> MakePlan:
    return lambda bot: record_signal(bot, body.to_domain())


def _order(body: inputs.OrderIn, _: str) -> MakePlan:
    return lambda bot: record_order(bot, body.to_domain())


def _risk_check(body: inputs.OrderIn, _: str) -> MakePlan:
    def plan(bot: BotContext) -> Plan[Outcome]:
        return Outcome(200, (yield from check_order(bot, body.to_domain())))

    return plan


def _order_update(body: inputs.OrderUpdateIn, order_id: str) -> MakePlan:
    return lambda bot: record_order_news(bot, body.to_domain(order_id))


def _fill(body: inputs.FillIn, _: str) -> MakePlan:
    order = body.order_to_domain()
    if order is None:
        return lambda bot: record_fill(bot, body.to_domain())
    return lambda bot: record_fill_with_order(bot, body.to_domain(), order)


def _balance(body: inputs.BalanceIn, _: str) -> MakePlan:
    return lambda bot: record_balance(bot, body.to_domain())


def _events(body: inputs.EventsIn, _: str) -> MakePlan:
    return lambda bot: record_events(bot, [event.to_domain() for event in body.events])


def _prices(body: inputs.PricesIn, _: str) -> MakePlan:
    def plan(bot: BotContext) -> Plan[Outcome]:
        updates = tuple(
            LiveUpdate(kind="price", bot_id=bot.bot_id, symbol=tick.symbol, data=tick.wire())
            for tick in (price.to_domain() for price in body.prices)
        )
        yield Last()
        return Outcome(202, {"accepted": len(updates)}, updates=updates)

    return plan


def _batch(body: inputs.BatchIn, _: str) -> MakePlan:
    operations = [read_operation(operation) for operation in body.operations]
    # One for all attempts: it remembers that the database refused an operation.
    batch = Batch(operations)

    def plan(bot: BotContext) -> Plan[Outcome]:
        if all(operation.make is None for operation in operations):
            # Nothing to ask the database; a plan has one step at least.
            yield Last()
        return (yield from batch.plan(bot))

    return plan


def read_operation(operation: inputs.OperationIn) -> Operation:
    """Read one operation of a batch; a malformed one carries its error instead of a plan."""
    model, id_field = inputs.OPERATION_MODELS[operation.op]
    given = operation.data.get(id_field)
    name = given if isinstance(given, str) else ""
    try:
        data: Any = validated(model, operation.data, loc=("data",))
    except ValidationFailed as e:
        return Operation(operation.op, name[:100], None, error=e)
    make = PLANS[operation.op]
    order_id = data.order_id if operation.op in ("fill", "order_update") else None
    symbol = data.symbol if operation.op == "order" else None
    return Operation(
        operation.op, name, partial(make, data), symbol=symbol, order_id=order_id, fact=FACTS[operation.op](data)
    )


# What an operation tells that can be told together with others.
FACTS: dict[str, Callable[[Any], Fact | None]] = {
    "signal": lambda data: data.to_domain(),
    "order": lambda data: data.to_domain() if data.intent == OrderIntent.REPORT else None,
    "fill": lambda data: data.to_domain() if data.order is None else None,
    "balance": lambda data: data.to_domain(),
    "event": lambda data: data.to_domain(),
    "order_update": lambda data: data.news(),
}


def _run_fill(data: inputs.FillIn, bot: BotContext) -> Plan[Outcome]:
    return _fill(data, "")(bot)


PLANS: dict[str, Callable[[Any, BotContext], Plan[Outcome]]] = {
    "signal": lambda data, bot: record_signal(bot, data.to_domain()),
    "order": lambda data, bot: record_order(bot, data.to_domain()),
    "fill": _run_fill,
    "balance": lambda data, bot: record_balance(bot, data.to_domain()),
    "event": lambda data, bot: record_events(bot, [data.to_domain()]),
    "order_update": lambda data, bot: record_order_news(bot, data.news()),
}


def _order_bucket(body: inputs.OrderIn) -> Bucket:
    return "commands" if body.intent == OrderIntent.REQUEST else "facts"


CALLS: tuple[Call, ...] = (
    Call(
        method="GET", path="/permit", model=inputs.EmptyIn, plan=_permit, scope=TokenScope.READ,
        bucket=lambda _: "reads", summary="Whether the bot may place new orders now",
    ),
    Call(
        method="POST", path="/heartbeat", model=inputs.HeartbeatIn, plan=_heartbeat, summary="Tell that the bot lives"
    ),
    Call(method="POST", path="/signals", model=inputs.SignalIn, plan=_signal, summary="Report a signal"),
    Call(
        method="POST", path="/risk/check", model=inputs.OrderIn, plan=_risk_check, bucket=lambda _: "commands",
        summary="Ask whether an order would be admitted",
    ),
    Call(
        method="POST", path="/orders", model=inputs.OrderIn, plan=_order, bucket=_order_bucket,
        summary="Ask for an order, or report one",
    ),
    Call(
        method="PATCH", path="/orders/{order_id}", model=inputs.OrderUpdateIn, plan=_order_update,
        summary="Tell what became of an order",
    ),
    Call(method="POST", path="/fills", model=inputs.FillIn, plan=_fill, summary="Report an execution"),
    Call(method="POST", path="/balances", model=inputs.BalanceIn, plan=_balance, summary="Report a balance"),
    Call(
        method="POST", path="/events", model=inputs.EventsIn, plan=_events, limit=BULK_LIMIT,
        summary="Report up to 1000 events, all or none",
    ),
    Call(
        method="POST", path="/batch", model=inputs.BatchIn, plan=_batch, limit=BULK_LIMIT,
        summary="Report up to 1000 operations, each on its own",
    ),
    Call(
        method="POST", path="/prices", model=inputs.PricesIn, plan=_prices, scope=TokenScope.MARKET_WRITE,
        summary="Report last prices for the live layer",
    ),
)  # fmt: skip
