"""Updates and rows as the services publish them, for the tests of the live layer."""

from typing import Any

from bots.ledger.shapes import POSITION, shape
from bots.live.load import Loaded
from bots.live.rows import BOT_FACTS
from bots.live.script import LiveUpdate
from bots.models import Position


def position_row(position_id: str = "p1", **columns: Any) -> dict[str, Any]:
    """A position's wire shape: an open long of 2 BTCUSDT at 100 of bot `alpha`."""
    row: dict[str, Any] = dict.fromkeys(POSITION)
    row |= {
        "position_id": position_id, "bot_id": "alpha", "symbol": "BTCUSDT", "side": "long", "status": "open",
        "size": "2", "quantity": "2", "avg_entry_price": "100", "cost_basis": "200", "realized_pnl": "0",
        "unrealized_pnl": "0", "total_pnl": "0", "fees": "0", "leverage": "1", "strategy": "", "version": 1,
        "fill_count": 1, "opened_at": "2026-11-19T12:00:00Z",
    }  # fmt: skip
    return row | columns


def bot_row(bot_id: str = "alpha", **columns: Any) -> dict[str, Any]:
    """A bot's wire row: an active demo bot in USDT."""
    row: dict[str, Any] = dict.fromkeys(BOT_FACTS)
    row |= {"bot_id": bot_id, "bot_name": bot_id, "status": "active", "deployment_mode": "demo", "currency": "USDT"}
    return row | columns


def loaded(*positions: dict[str, Any], bots: Any = None, **rest: Any) -> Loaded:
    """What PostgreSQL would say of these rows."""
    versions = {row["position_id"]: row["version"] for row in positions}
    return Loaded(bots=[bot_row()] if bots is None else bots, positions=list(positions), open_versions=versions, **rest)


def position(row: dict[str, Any]) -> LiveUpdate:
    return LiveUpdate(kind="position", bot_id=row["bot_id"], symbol=row["symbol"], data=row)


def closed(row: dict[str, Any], version: int) -> LiveUpdate:
    data = {"status": "closed", "size": "0", "cost_basis": "0", "closed_at": "2026-11-19T13:00:00Z", "version": version}
    return position(row | data)


def price(value: str, *, at: str = "2026-11-20T10:00:00Z", symbol: str = "BTCUSDT") -> LiveUpdate:
    data = {"symbol": symbol, "price": value, "timestamp": at}
    return LiveUpdate(kind="price", bot_id="alpha", symbol=symbol, data=data)


def news(kind: Any, bot_id: str = "alpha", symbol: str = "BTCUSDT", **data: Any) -> LiveUpdate:
    return LiveUpdate(kind=kind, bot_id=bot_id, symbol=symbol, data=data)


def halt(state: str, version: int, *, scope: str = "all", target: str = "", reason: str = "test") -> LiveUpdate:
    data = {"scope": scope, "target": target, "state": state, "reason": reason, "version": version}
    return LiveUpdate(kind="halt", bot_id="", symbol="", data={**data, "since": "2026-11-20T10:00:00Z"})


def stored(row: Position) -> dict[str, Any]:
    """Return a stored position's wire shape."""
    return shape(Position.objects.values(*POSITION).get(pk=row.pk), POSITION)
