"""Reading the present state from PostgreSQL, in a few cheap queries."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from bots.ledger.shapes import POSITION, shape
from bots.live.rows import BOT_FACTS
from bots.models import Bot, ControlState, Position, Trade


@dataclass(frozen=True, slots=True)
class Loaded:
    """What PostgreSQL said: every bot, the version of every open position, the rows of those that are news."""

    bots: list[dict[str, Any]] = field(default_factory=list)
    open_versions: dict[str, int] = field(default_factory=dict)
    positions: list[dict[str, Any]] = field(default_factory=list)
    halts: list[dict[str, Any]] = field(default_factory=list)
    realized: dict[tuple[str, str], Decimal] = field(default_factory=dict)


def load(*, now: datetime, known: Mapping[str, int]) -> Loaded:
    """Read the state; of open positions only those whose version differs from the one in `known`."""
    versions = dict(Position.objects.open().values_list("position_id", "version"))
    changed = [key for key, version in versions.items() if known.get(key) != version]
    return Loaded(
        bots=[shape(row, BOT_FACTS) for row in Bot.objects.values(*BOT_FACTS)],
        open_versions=versions,
        positions=open_positions(changed),
        halts=control_states(),
        realized=realized_today(now=now),
    )


def open_positions(position_ids: Collection[str]) -> list[dict[str, Any]]:
    """Return the wire rows of some open positions."""
    if not position_ids:
        return []
    rows = Position.objects.open().filter(position_id__in=position_ids).values(*POSITION)
    return [shape(row, POSITION) for row in rows]


def realized_today(*, now: datetime, bot_ids: Collection[str] | None = None) -> dict[tuple[str, str], Decimal]:
    """Return the net P&L of the round trips that ended on this UTC day, per (bot, symbol), in the quote currency."""
    trades = Trade.objects.filter(exit_time__gte=now.replace(hour=0, minute=0, second=0, microsecond=0))
    if bot_ids is not None:
        trades = trades.filter(bot_id__in=bot_ids)
    sums = trades.order_by().values_list("bot_id", "symbol").annotate(net=Sum("pnl_usd"))
    return {(bot_id, symbol): net for bot_id, symbol, net in sums}


def control_states() -> list[dict[str, Any]]:
    """Return every control state as it travels; those back to ACTIVE too, since their version counts."""
    return [control_shape(row) for row in ControlState.objects.values(*CONTROL_FIELDS)]


CONTROL_FIELDS = ("scope", "target", "state", "reason", "changed_by_name", "changed_at", "version", "server_seq")


def control_shape(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a control state as the sockets show it; bots acknowledge `id`, the number of its newest change."""
    data = shape(row, CONTROL_FIELDS)
    since, number = data.pop("changed_at"), data.pop("server_seq")
    return {"id": number, **data, "since": since}
