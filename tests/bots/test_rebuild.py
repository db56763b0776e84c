"""Whatever is derived can be worked out again from the fills, and whatever differs is found and corrected."""

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bots.models import Fill, Order, Position, Trade
from bots.services.rebuild import FIELDS, ledger_rebuild
from tests.bots.rich_ledger import FREE, Ledger, execute, ledger, scratch  # noqa: F401 (fixtures)
from tests.ledger_checks import assert_ledger_holds
from tradingdb.lib.errors import NotFound

pytestmark = pytest.mark.django_db

RICH = "bot_id = 'rich_001'"
CLOSED = f"{RICH} AND symbol = 'BTCUSDT' AND status = 'closed' AND side = 'long'"
EXITED = f"{RICH} AND symbol = 'BTCUSDT' AND exit_time IS NOT NULL AND side = 'long'"
MODELS = {"order": Order, "fill": Fill, "position": Position, "trade": Trade}


def derived() -> dict[str, list[Any]]:
    """Everything that is derived, and what people may have written beside it."""
    more = {"position": ("stop_loss", "notes", "marked_at"), "trade": ("notes",)}
    return {
        kind: list(
            model.objects.order_by("bot_id", f"{kind}_id").values_list(f"{kind}_id", *FIELDS[kind], *more.get(kind, ()))
        )
        for kind, model in MODELS.items()
    }


def test_a_healthy_ledger_follows_its_fills_and_stays_untouched(scratch: Ledger) -> None:
    versions = list(Position.objects.order_by("pk").values_list("pk", "version", "updated_at"))
    times = list(Order.objects.order_by("pk").values_list("pk", "updated_at"))

    result = ledger_rebuild()

    assert result.differences == []
    assert result.chains == Order.objects.values("bot_id", "symbol").distinct().count()
    assert list(Position.objects.order_by("pk").values_list("pk", "version", "updated_at")) == versions
    assert list(Order.objects.order_by("pk").values_list("pk", "updated_at")) == times


CORRUPTIONS = {
    "order": f"UPDATE orders SET filled_quantity = 3.5, fees = 9, filled_at = NULL WHERE {RICH} AND order_id = 'in'",
    "order status": f"UPDATE orders SET status = 'submitted' WHERE {RICH} AND order_id = 'c5'",
    "order links": f"UPDATE orders SET position_id = 'x', trade_id = NULL WHERE {RICH} AND order_id = 'flip'",
    "order without fills": f"UPDATE orders SET fees = 1 WHERE {RICH} AND order_id = 'c4'",
    "fill": f"UPDATE fills SET position_id = NULL, realized_pnl = 7 WHERE {RICH} AND fill_id = 'f5'",
    "fee in quote": f"UPDATE fills SET fee_quote = fee_quote + 1 WHERE {RICH} AND fill_id = 'f1'",
    "position": f"UPDATE positions SET realized_pnl = 1, avg_entry_price = 1, leverage = 9 WHERE {CLOSED}",
    "figures outside the fold": f"UPDATE positions SET unrealized_pnl = 5, entry_trade_ids = '{{x}}' WHERE {CLOSED}",
    "side": f"UPDATE positions SET side = 'short' WHERE {CLOSED}",
    "opening fill": f"UPDATE positions SET opening_fill_id = 'f2' WHERE {CLOSED}",
    "no opening fill": f"UPDATE positions SET opening_fill_id = '' WHERE {CLOSED}",
    "symbol": f"UPDATE positions SET symbol = 'ETHUSDT' WHERE {CLOSED}",
    "another one open": f"""
        UPDATE positions SET status = 'closed', size = 0, closed_at = opened_at
        WHERE {RICH} AND symbol = 'BTCUSDT' AND status = 'open';
        UPDATE positions SET status = 'open', size = 1, closed_at = NULL WHERE {RICH} AND side = 'short'
    """,
    "lost trade": f"DELETE FROM trades WHERE {EXITED}",
    "lost position": f"DELETE FROM positions WHERE {CLOSED}",
    "lost pair": f"DELETE FROM positions WHERE {CLOSED}; DELETE FROM trades WHERE {EXITED}",
    "trade": f"UPDATE trades SET gross_pnl = 1, exit_price = 2, exit_reason = NULL WHERE {EXITED}",
    "trade id": f"UPDATE trades SET trade_id = 'trd_other', symbol = 'X' WHERE {EXITED}",
    "trade called reported": f"UPDATE trades SET origin = 'reported' WHERE {EXITED}",
    "invented position": f"""
        INSERT INTO positions (bot_id, position_id, symbol, side, size, quantity, avg_entry_price, opening_fill_id)
        SELECT bot_id, 'pos_invented', 'LTCUSDT', 'long', 1, 1, 1, 'x' FROM bots WHERE {RICH}
    """,
    "invented position without any fill": f"""
        INSERT INTO positions (bot_id, position_id, symbol, side, size, quantity, avg_entry_price)
        SELECT bot_id, 'pos_invented', 'LTCUSDT', 'long', 1, 1, 1 FROM bots WHERE {RICH}
    """,
    "invented trade": f"""
        INSERT INTO trades (bot_id, trade_id, symbol, side, quantity, entry_price, position_size_usd, entry_time)
        SELECT bot_id, 'trd_invented', 'BTCUSDT', 'long', 1, 1, 1, now() FROM bots WHERE {RICH}
    """,
}


@pytest.mark.parametrize("statements", [pytest.param(text, id=name) for name, text in CORRUPTIONS.items()])
def test_what_differs_from_the_fills_is_found_and_corrected(scratch: Ledger, statements: str) -> None:
    before = derived()
    execute(FREE, *statements.split(";"))
    spoilt = derived()

    found = ledger_rebuild(check=True).differences

    assert found
    assert derived() == spoilt
    corrected = ledger_rebuild().differences
    # A position under a wrong symbol is found in both chains, and put right in the first of them.
    assert corrected
    assert set(corrected) <= set(found)
    assert_ledger_holds()
    assert derived() == before
    assert ledger_rebuild().differences == []


def test_the_whole_ledger_comes_back_from_fills_alone(scratch: Ledger) -> None:
    before = derived()
    execute(
        "DELETE FROM positions",
        "DELETE FROM trades WHERE origin = 'fills'",
        "UPDATE fills SET position_id = NULL, opened_position_id = NULL, closed_quantity = 0, fee_quote = 0",
        "UPDATE fills SET closing_fee_quote = 0, realized_pnl = 0",
        FREE,
        "UPDATE orders SET filled_quantity = 0, filled_notional = 0, avg_fill_price = NULL, fees = 0",
        "UPDATE orders SET status = 'pending', filled_at = NULL",
    )

    ledger_rebuild()

    after = derived()
    # Marks are told, not derived: they come with the next price.
    assert [row[:9] for row in after["position"]] == [row[:9] for row in before["position"]]
    assert {kind: after[kind] for kind in ("fill", "trade", "order")} == {
        kind: before[kind] for kind in ("fill", "trade", "order")
    }
    assert_ledger_holds()


def test_a_correction_keeps_what_people_wrote(scratch: Ledger) -> None:
    Position.objects.filter(bot=scratch.rich).update(notes="look at this", stop_loss=Decimal(49000))
    execute(f"DELETE FROM trades WHERE {EXITED}", f"UPDATE positions SET realized_pnl = 1 WHERE {CLOSED}")
    before = dict(Position.objects.filter(bot=scratch.rich).values_list("position_id", "version"))

    ledger_rebuild(bot_id="rich_001")

    rows = Position.objects.filter(bot=scratch.rich)
    assert set(rows.values_list("notes", "stop_loss")) == {("look at this", Decimal(49000))}
    # What is shown live takes the correction for newer than what it has.
    assert all(row.version > before[row.position_id] for row in rows.filter(symbol="BTCUSDT"))


def test_only_the_named_bot_is_looked_at(scratch: Ledger) -> None:
    execute(f"UPDATE positions SET realized_pnl = 1 WHERE {CLOSED}")

    result = ledger_rebuild(bot_id="plain_001")

    assert result.differences == []
    with pytest.raises(NotFound):
        ledger_rebuild(bot_id="nobody")


def test_the_command_tells_each_difference_and_changes_nothing_with_check(scratch: Ledger) -> None:
    execute(f"UPDATE positions SET fees = 9 WHERE {CLOSED}")
    position = Position.objects.get(bot=scratch.rich, symbol="BTCUSDT", status="closed", side="long")
    told = StringIO()

    with pytest.raises(CommandError, match="figures that differ: 1") as caught:
        call_command("rebuild_ledger", "--check", stdout=told)

    assert caught.value.returncode == 1
    line = f"rich_001 BTCUSDT position {position.position_id}: fees is 9, the facts say "
    assert told.getvalue().startswith(line)
    assert Position.objects.get(pk=position.pk).fees == 9
    call_command("rebuild_ledger", stdout=told)
    call_command("rebuild_ledger", "--check", stdout=told)
    assert told.getvalue().splitlines()[-1].endswith("figures that differ: 0")
    with pytest.raises(CommandError, match="No such bot"):
        call_command("rebuild_ledger", "--bot", "nobody")
