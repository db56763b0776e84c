"""A fill that brings its order along and is refused leaves nothing; one that is only remarkable leaves both."""

from typing import Any

import pytest

from bots.api import inputs
from bots.models import Bot, Fill, IngestConflict, Order, ParkedFact
from bots.services.carried_orders import record_fill_with_order
from bots.services.context import run_for
from bots.services.fills import order_add_fill
from bots.services.orders import order_place
from bots.services.plan import Outcome
from tests.bots.ledger_tools import at
from tradingdb.lib.errors import Conflict

pytestmark = pytest.mark.usefixtures("ledger_holds")

ORDER = {"symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "2", "intent": "report"}
FILL = {"price": "100", "quantity": "1", "executed_at": at(1)}


def carried(bot: Bot, fill_id: str, order_id: str, **told: Any) -> Outcome:
    """Tell a fill with its order."""
    body = FILL | {"fill_id": fill_id, "order_id": order_id, "order": ORDER | {"order_id": order_id}} | told
    fact = inputs.FillIn.model_validate(body)
    order = fact.order_to_domain()
    assert order is not None
    return run_for(bot.bot_id, lambda context: record_fill_with_order(context, fact.to_domain(), order))


def alone(bot: Bot, fill_id: str, order_id: str, **told: Any) -> Outcome:
    fact = inputs.FillIn.model_validate(FILL | {"fill_id": fill_id, "order_id": order_id} | told)
    return order_add_fill(bot_id=bot.bot_id, fill=fact.to_domain())


def orders(bot: Bot) -> set[str]:
    return set(Order.objects.filter(bot=bot).values_list("order_id", flat=True))


@pytest.mark.parametrize(
    ("before", "told", "code"),
    [
        pytest.param({"price": "99"}, {}, "conflict", id="its id stands for another fill"),
        pytest.param({"exchange_trade_id": "x", "fill_id": "g"}, {"exchange_trade_id": "x"}, "duplicate_execution",
                     id="its execution is known"),
    ],
)  # fmt: skip
def test_a_refused_fill_leaves_its_order_out(bot: Bot, before: Any, told: Any, code: str) -> None:
    carried(bot, **({"fill_id": "f", "order_id": "o1"} | before))

    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            carried(bot, "f", "o2", **told)

    assert caught.value.code == code
    assert orders(bot) == {"o1"}
    assert Fill.objects.count() == 1
    assert IngestConflict.objects.get().received_count == 2


@pytest.mark.parametrize(
    ("waiting", "told", "code"),
    [
        pytest.param({"fill_id": "f", "price": "99"}, {}, "conflict", id="other content waits under its id"),
        pytest.param({"fill_id": "f", "order_id": "o3"}, {}, "conflict", id="it waits for another order"),
        pytest.param({"fill_id": "g", "exchange_trade_id": "x"}, {"exchange_trade_id": "x"}, "duplicate_execution",
                     id="its execution waits for the same order"),
    ],
)  # fmt: skip
def test_so_does_one_that_would_be_refused_by_what_waits(bot: Bot, waiting: Any, told: Any, code: str) -> None:
    alone(bot, **({"order_id": "o2"} | waiting))

    with pytest.raises(Conflict) as caught:
        carried(bot, "f", "o2", **told)

    assert caught.value.code == code
    assert orders(bot) == set()
    assert ParkedFact.objects.get().state == "parked"


def test_one_that_waited_for_its_execution_to_be_known_is_refused_with_its_order(bot: Bot) -> None:
    alone(bot, "f", "o2", exchange_trade_id="x")
    carried(bot, "g", "o1", exchange_trade_id="x")

    with pytest.raises(Conflict):
        carried(bot, "f", "o2", exchange_trade_id="x")

    assert orders(bot) == {"o1"}
    assert ParkedFact.objects.get().state == "parked"


def test_a_fill_that_waits_for_its_order_is_applied_once(bot: Bot) -> None:
    alone(bot, "f", "o1", exchange_trade_id="x")

    outcome = carried(bot, "f", "o1", exchange_trade_id="x")

    assert (outcome.status, outcome.replayed) == (200, True)
    assert Order.objects.get(bot=bot).filled_quantity == 1


def test_what_is_only_remarkable_is_stored_with_its_order_and_flagged(bot: Bot) -> None:
    outcome = carried(bot, "f", "o1", quantity="5")

    assert (outcome.status, outcome.body["flags"]) == (201, ["overfill"])
    assert orders(bot) == {"o1"}


def test_an_order_that_is_known_stays_as_it_is_when_the_fill_is_refused(bot: Bot) -> None:
    order = inputs.OrderIn.model_validate(ORDER | {"order_id": "o1", "quantity": "7"})
    order_place(bot_id=bot.bot_id, order=order.to_domain())
    carried(bot, "f", "o1")

    with pytest.raises(Conflict):
        carried(bot, "f", "o1", price="98")

    assert Order.objects.get(bot=bot).quantity == 7
