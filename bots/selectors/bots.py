"""Bots as people and bots themselves read them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from bots.ledger.shapes import shape
from bots.models import Bot, BotToken, ExchangeAccount
from bots.selectors.fields import BOT, LIMITS, TOKEN
from tradingdb.lib.bot_rows import of_bots
from tradingdb.lib.errors import NotFound

# Bots read themselves too, and have no right to these columns: of its account a bot's row tells the name alone.
UNSEEN = ("api_key_hash", *(
    f"account__{column.name}" for column in ExchangeAccount._meta.concrete_fields
    if column.name not in ("id", "account_id")
))  # fmt: skip


def bot_row(bot: Bot, now: datetime) -> dict[str, Any]:
    """Return a bot in its wire form, with its account, limits and liveness."""
    row = shape({name: getattr(bot, name) for name in BOT}, BOT)
    row["account_id"] = bot.account.account_id
    row["limits"] = shape({name: getattr(bot, name) for name in LIMITS}, LIMITS)
    row["liveness"] = bot.liveness(now)
    return row


def bot_rows(
    conditions: Mapping[str, Any], now: datetime, *, among: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Return the bots whose columns have these values, by bot_id; None is "any"; of some bots where they are named."""
    wanted = {name: value for name, value in conditions.items() if value is not None}
    found = of_bots(Bot.objects.select_related("account").filter(**wanted), among)
    return [bot_row(bot, now) for bot in found.order_by("bot_id")]


def raised_limits(bot: Bot, changes: Mapping[str, Any]) -> list[str]:
    """Return the limits that a change raises or takes away: None is "no limit"."""
    raised = []
    for name in LIMITS:
        if name in changes:
            old, new = getattr(bot, name), changes[name]
            if old is not None and (new is None or new > old):
                raised.append(name)
    return raised


def bot_get(bot_id: str) -> Bot:
    """Return one bot with its account. Raises NotFound."""
    bot = Bot.objects.select_related("account").defer(*UNSEEN).filter(bot_id=bot_id).first()
    if bot is None:
        raise NotFound("No such bot.", bot_id=bot_id)
    return bot


def token_row(token: BotToken) -> dict[str, Any]:
    """Return what may be shown of a token."""
    return shape({name: getattr(token, name) for name in TOKEN}, TOKEN)
