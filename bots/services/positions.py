"""Positions: what a bot may set on one. Size and prices come from fills only."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from psycopg.types.json import Jsonb

from bots.ledger.content import canonical_json
from bots.ledger.shapes import POSITION, shape
from bots.live.publish import LiveUpdate
from bots.services.context import BotContext, run_for
from bots.services.plan import Outcome, Plan, Sql, update
from tradingdb.lib.errors import NotFound

SETTABLE = frozenset({"stop_loss", "take_profit", "take_profit_levels", "trailing_stop", "position_metadata"})
JSON_FIELDS = frozenset({"take_profit_levels", "trailing_stop", "position_metadata"})
LOCKED = "SELECT * FROM positions WHERE bot_id = %(bot)s AND position_id = %(id)s FOR UPDATE"
KEY = "bot_id = %(k_bot)s AND position_id = %(k_id)s"


def change_position(bot: BotContext, position_id: str, changes: Mapping[str, Any]) -> Plan[Outcome]:
    """Set stops and notes of a position; what is there already changes nothing and counts as a replay."""
    (rows,) = yield [Sql(LOCKED, {"bot": bot.bot_id, "id": position_id})]
    if not rows:
        return Outcome(404, {}, error=NotFound("The bot has no such position.", position_id=position_id))
    row = rows[0]
    new = {name: changes[name] for name in changes if not _same(row[name], changes[name])}
    if not new:
        return Outcome(200, shape(row, POSITION), replayed=True)
    now = timezone.now()
    new = {name: _param(name, value) for name, value in new.items()} | {"last_updated": now, "updated_at": now}
    keys = {"k_bot": bot.bot_id, "k_id": position_id}
    (rows,) = yield [update("positions", new, where=KEY, keys=keys, also="version = version + 1")]
    body = shape(rows[0], POSITION)
    return Outcome(
        200, body, updates=(LiveUpdate(kind="position", bot_id=bot.bot_id, symbol=row["symbol"], data=body),)
    )


def _param(name: str, value: Any) -> Any:
    # A ladder is a list, which psycopg would take for an array.
    return Jsonb(value, dumps=canonical_json) if name in JSON_FIELDS and value is not None else value


def _same(stored: Any, told: Any) -> bool:
    return canonical_json({"value": stored}) == canonical_json({"value": told})


def position_update(*, bot_id: str, position_id: str, changes: Mapping[str, Any]) -> Outcome:
    """Set stop_loss, take_profit, take_profit_levels, trailing_stop or position_metadata of a position of this bot.

    Raises NotFound, and ValueError for any other field.
    """
    if set(changes) - SETTABLE:
        raise ValueError(f"not settable: {', '.join(sorted(set(changes) - SETTABLE))}")
    return run_for(bot_id, lambda bot: change_position(bot, position_id, changes))
