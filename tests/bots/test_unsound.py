"""A fill that meets rows which contradict themselves is stored; the rows are marked and worked out anew."""

from typing import Any

import pytest

from audit.services.actions import SYSTEM
from bots.models import Bot, ControlState, Fill, ReconciliationCase
from bots.services.cases import case_update
from bots.services.rebuild import ledger_rebuild
from bots.services.unsound import unsound_rebuild
from bots.tasks import rebuild_unsound
from tests.bots.ledger_tools import add_fill, place
from tests.bots.rich_ledger import execute, registered
from tests.ledger_checks import assert_ledger_holds

pytestmark = pytest.mark.django_db

OPEN = "UPDATE positions SET {} WHERE bot_id = 'sound_001' AND status = 'open'"


@pytest.fixture
def bot(db: None) -> Bot:
    """A bot that holds 2 BTC, of 3 that it bought with an order of 5."""
    bot = registered("sound_001")
    place(bot, "in", "buy", "5")
    place(bot, "out", "sell", "9")
    add_fill(bot, "f1", "in", "100", "3", 1)
    add_fill(bot, "f2", "out", "110", "1", 2)
    return bot


def cases() -> list[ReconciliationCase]:
    return list(ReconciliationCase.objects.filter(kind="ledger_mismatch"))


CHANGES = {
    "profit": (OPEN.format("realized_pnl = realized_pnl + 1"), "I09_realized_pnl_is_cash_flow_plus_cost_basis"),
    "cost": (OPEN.format("cost_basis = cost_basis + 1"), "I09_realized_pnl_is_cash_flow_plus_cost_basis"),
    "cash": (OPEN.format("exit_notional = exit_notional + 1"), "I09_realized_pnl_is_cash_flow_plus_cost_basis"),
    "size": (OPEN.format("size = size + 7"), "I11_no_fill_takes_a_position_below_zero"),
    "last fill": (OPEN.format("last_fill_id = 'f1'"), "I12_closed_position_is_flat"),
    "last time": (OPEN.format("last_fill_at = opened_at"), "I12_closed_position_is_flat"),
    "status": ("UPDATE orders SET status = 'submitted' WHERE order_id = 'in'", "I03_order_status_agrees_with_fills"),
    "filled": (
        "UPDATE orders SET filled_quantity = 0 WHERE order_id = 'in'",
        "I04_average_fill_price_is_notional_by_filled",
    ),
}


@pytest.mark.parametrize(("change", "name"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_found_by_the_next_fill_which_is_stored(bot: Bot, change: str, name: str) -> None:
    execute(change)

    outcome = add_fill(bot, "f3", "in", "120", "1", 3)

    assert (outcome.status, outcome.body["flags"]) == (201, ["unsound"])
    assert Fill.objects.get(bot=bot, fill_id="f3").flags == ["unsound"]
    (case,) = cases()
    assert (case.bot_id, case.symbol, case.status) == ("sound_001", "BTCUSDT", "open")
    assert case.reported["fill_id"] == "f3"
    assert name in case.reported["broken"].split(", ")
    state = ControlState.objects.get(scope="bot", target="sound_001")
    assert (state.state, name in state.reason) == ("REDUCING", True)

    unsound_rebuild()

    # Some of it the fill wrote over itself; the rest follows the fills again.
    assert "rebuilt_at" in cases()[0].expected
    assert_ledger_holds()
    assert ledger_rebuild(check=True).differences == []


def test_a_marked_chain_is_rebuilt_once_and_its_case_stays_open(bot: Bot) -> None:
    execute(OPEN.format("realized_pnl = 7"))
    add_fill(bot, "f3", "in", "120", "1", 3)

    counts = [rebuild_unsound(), rebuild_unsound()]

    assert counts[0] > 0 == counts[1]
    (case,) = cases()
    assert case.status == "open"
    assert case.expected["figures_that_differed"] == str(counts[0])
    position_id = Fill.objects.get(bot=bot, fill_id="f1").position_id
    assert case.expected[f"position {position_id} realized_pnl"].startswith("10")

    execute(OPEN.format("realized_pnl = 8"))
    add_fill(bot, "f4", "in", "120", "1", 4)
    assert [one.reported["fill_id"] for one in cases()] == ["f4"]
    assert rebuild_unsound() > 0
    assert_ledger_holds()


@pytest.mark.unsound_ledger("changed by hand, and the point is that it stays so")
def test_a_closed_case_is_not_rebuilt(bot: Bot) -> None:
    execute(OPEN.format("realized_pnl = 7"))
    add_fill(bot, "f3", "in", "120", "1", 3)
    (case,) = cases()
    changes = {"status": "resolved", "resolution": "Repaired by hand."}
    case_update(case_id=case.pk, changes=changes, actor=SYSTEM)

    assert rebuild_unsound() == 0


def test_sound_fills_of_every_shape_are_not_marked(bot: Bot) -> None:
    shapes: list[tuple[str, str, str, int]] = [
        ("a", "in", "1", 3), ("crosses", "out", "4", 5), ("late", "in", "0.5", 4), ("b", "out", "0.3", 6)
    ]  # fmt: skip
    flags: list[Any] = [
        add_fill(bot, name, order, "100", quantity, minute).body["flags"] for name, order, quantity, minute in shapes
    ]

    assert flags == [[], [], [], []]
    assert cases() == []
    assert_ledger_holds()
