"""What stands in the ledger where another body came."""

from collections.abc import Mapping
from typing import Any

from bots.choices import FactKind
from bots.ledger.shapes import FILL, shape
from bots.models import Fill


def stored_body(*, bot_id: str, kind: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored body of a conflict; `kept` is what was kept with it.

    Where another bot of the account has the execution, the bot could not see that fill: staff can, so it is looked up.
    """
    if kind != FactKind.FILL or "fill_id" in kept or "exchange_trade_id" not in kept:
        return dict(kept)
    execution = {"symbol": kept["symbol"], "exchange_trade_id": kept["exchange_trade_id"]}
    fill = Fill.objects.filter(account__bots=bot_id, **execution).values().first()
    return shape(fill, FILL) if fill is not None else dict(kept)
