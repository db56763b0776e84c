"""The command that reads a snapshot of an account."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bots.models import Bot, ReconciliationCase, UnattributedFill
from tests.bots.ledger_tools import add_fill, at, place

pytestmark = pytest.mark.usefixtures("ledger_holds")
FILL = {"exchange_trade_id": "x1", "symbol": "BTCUSDT", "side": "buy", "price": "100", "quantity": "0.5"}


def record(bot: Bot, folder: Path, snapshot: Any, *options: str) -> dict[str, Any]:
    path, out = folder / "account.json", StringIO()
    path.write_text(snapshot if isinstance(snapshot, str) else json.dumps(snapshot))
    call_command("record_account", bot.account.account_id, str(path), *options, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_a_snapshot_fills_the_inbox_and_is_compared(bot: Bot, tmp_path: Path) -> None:
    place(bot, "o1", "buy", "1")
    add_fill(bot, "f1", "o1", "100", "1", exchange_trade_id="known")
    fills = [
        {**FILL, "executed_at": at(1)},
        {**FILL, "executed_at": at(0), "exchange_trade_id": "known", "quantity": 1},
    ]
    positions = [{"symbol": "BTCUSDT", "side": "long", "size": "1.5"}]
    snapshot = {"as_of": at(2), "fills": fills, "positions": positions}

    first = record(bot, tmp_path, snapshot, "--source", "import:statement")
    again = record(bot, tmp_path, snapshot)

    assert first == {"fills": 2, "new": 1, "matched": 0, "cases": ["BTCUSDT"]}
    assert again == {**first, "new": 0}
    row = UnattributedFill.objects.get()
    assert (row.exchange_trade_id, row.source, row.body["quantity"]) == ("x1", "import:statement", "0.5")
    mismatch = ReconciliationCase.objects.get(kind="position_mismatch")
    assert mismatch.expected == {"side": "long", "size": "1", "unattributed": "0.5"}


def test_a_snapshot_without_positions_compares_none(bot: Bot, tmp_path: Path) -> None:
    place(bot, "o1", "buy", "1")
    add_fill(bot, "f1", "o1", "100", "1")

    assert record(bot, tmp_path, {"as_of": at(2)}) == {"fills": 0, "new": 0}
    assert not ReconciliationCase.objects.exists()


@pytest.mark.parametrize(
    "snapshot",
    ["{", "[]", {"fills": []}, {"as_of": at(0), "extra": 1}, {"as_of": "yesterday"},
     {"as_of": at(0), "fills": [{**FILL, "executed_at": at(0), "price": "NaN"}]},
     {"as_of": at(0), "fills": [{**FILL, "executed_at": at(0)}, {**FILL, "executed_at": at(0), "quantity": -1}]},
     '{"as_of": "2026-03-01T12:00:00Z", "fills": [], "fills": []}'],
)  # fmt: skip
def test_a_malformed_snapshot_stores_nothing(bot: Bot, tmp_path: Path, snapshot: Any) -> None:
    with pytest.raises(CommandError):
        record(bot, tmp_path, snapshot)
    assert not UnattributedFill.objects.exists()


def test_a_file_or_an_account_that_is_not_there_is_named(bot: Bot, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("record_account", bot.account.account_id, str(tmp_path / "none.json"))
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"as_of": at(0), "positions": []}))
    with pytest.raises(CommandError, match="No such account"):
        call_command("record_account", "nobody", str(path))
