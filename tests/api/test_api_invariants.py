"""The invariants over the API: people read the last report, traders and admins run one."""

import pytest

from bots.models import Bot, Order
from bots.services.invariants.run import invariants
from tests.api.conftest import bot_caller, staff_caller
from tests.bots.rich_ledger import registered

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(db: None) -> Bot:
    return registered("api_001")


@pytest.mark.unsound_ledger("an order is made wrong by hand, to be found")
def test_the_last_report_is_shown_until_a_run_is_asked_for(bot: Bot) -> None:
    viewer, trader = staff_caller("viewer"), staff_caller("trader")
    assert viewer.get("/invariants?run=false").status_code == 204
    first = viewer.get("/invariants").json()
    order = Order.objects.create(
        bot=bot, order_id="o1", symbol="BTCUSDT", side="buy", order_type="market", quantity=1, fees=1
    )

    again = viewer.get("/invariants").json()
    run = trader.post("/invariants/run")

    assert (first["ok"], set(first["invariants"])) == (True, {one.name for one in invariants()})
    assert again == first
    assert run.status_code == 200
    found = run.json()["invariants"]["I05_order_fees_are_sum_of_fill_fees"]
    assert (run.json()["ok"], found["count"]) == (False, 1)
    assert found["rows"] == [
        {"kind": "order", "bot_id": "api_001", "id": order.order_id, "stored": "1", "sum_of_fills": "0"}
    ]
    assert viewer.get("/invariants").json() == run.json()


def test_bots_and_strangers_see_nothing_and_viewers_only_read(bot: Bot) -> None:
    assert bot_caller(bot).get("/invariants").status_code == 403
    assert bot_caller(bot).post("/invariants/run").status_code == 403
    assert staff_caller("viewer").post("/invariants/run").status_code == 403
    assert staff_caller("admin").post("/invariants/run").status_code == 200
