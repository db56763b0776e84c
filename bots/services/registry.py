"""The registry: bots come in once, with their account and their initial capital, and are changed by people only."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, Required, TypedDict, Unpack

from django.db import transaction

from audit.services.actions import SYSTEM, Actor
from bots.choices import BotStatus, CashFlowKind, ControlScope, DeploymentMode
from bots.ledger.shapes import shape, wire
from bots.live.publish import LiveUpdate, publish
from bots.live.rows import BOT_FACTS
from bots.models import Bot, CashFlow, ExchangeAccount
from bots.selectors.fields import LIMITS
from bots.services.control import await_requests
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed
from tradingdb.lib.retry import atomic_retried

INITIAL_CASH_FLOW = "initial"
# What makes it another bot.
IDENTITY = ("deployment_mode", "initial_capital", "currency", "exchange", "account")
CHANGEABLE = frozenset({"bot_name", "description", "status", *LIMITS})


class BotColumns(TypedDict, total=False):
    """What a registration tells of a bot beside its id and capital; shares are fractions, None is "no limit"."""

    bot_name: Required[str]
    bot_type: Required[str]
    strategy_name: Required[str]
    deployment_mode: Required[str]
    currency: str
    exchange: str
    description: str
    max_positions: int
    leverage_limit: int
    max_daily_loss_pct: Decimal | None
    max_weekly_loss_pct: Decimal | None
    max_drawdown_pct: Decimal | None


class Registration(NamedTuple):
    """A bot, and whether this call brought it."""

    bot: Bot
    is_new: bool


@atomic_retried
def bot_register(
    *,
    bot_id: str,
    initial_capital: Decimal,
    account_id: str | None = None,
    registered_at: datetime | None = None,
    actor: Actor = SYSTEM,
    **columns: Unpack[BotColumns],
) -> Registration:
    """Register a bot, its account when none is named, and its initial capital as a cash flow, each exactly once.

    A bot that is there already stays as it is. Raises Conflict when it is another one (mode, capital, currency,
    exchange or account differ), ValidationFailed for an unknown mode.
    """
    if columns["deployment_mode"] not in DeploymentMode.values:
        raise ValidationFailed(f"deployment_mode is one of {', '.join(DeploymentMode.values)}.")
    told: dict[str, Any] = {"currency": "USDT", "exchange": "bybit", **columns}
    account = _account(account_id or bot_id, exchange=told["exchange"], currency=told["currency"])
    told |= {"initial_capital": initial_capital, "account": account}
    defaults = told | {"created_by": actor.label[:100]}
    if registered_at is not None:
        # A bot whose past is brought along began before today.
        defaults["created_at"] = registered_at
    bot, is_new = Bot.objects.get_or_create(bot_id=bot_id, defaults=defaults)
    if not is_new:
        _check_same(bot, {name: told[name] for name in IDENTITY})
        return Registration(bot, is_new=False)
    CashFlow.objects.create(
        cash_flow_id=INITIAL_CASH_FLOW,
        bot=bot,
        kind=CashFlowKind.INITIAL,
        amount=initial_capital,
        currency=bot.currency,
        occurred_at=bot.created_at,
        source="orm",
    )
    actor.record("bot.register", "bot", bot_id, after=_state(bot))
    transaction.on_commit(partial(publish, [live_update(bot)]))
    return Registration(bot, is_new=True)


def _account(account_id: str, *, exchange: str, currency: str) -> ExchangeAccount:
    defaults = {"exchange": exchange, "currency": currency}
    account, _ = ExchangeAccount.objects.get_or_create(account_id=account_id, defaults=defaults)
    if account.exchange != exchange:
        raise Conflict(f"Account {account_id} is at {account.exchange}, not at {exchange}.", account_id=account_id)
    return account


def _check_same(bot: Bot, identity: Mapping[str, Any]) -> None:
    different = [name for name, value in identity.items() if getattr(bot, name) != value]
    if different:
        raise Conflict(f"Bot {bot.bot_id} is registered with another {', '.join(different)}.", fields=different)


@atomic_retried
def bot_update(*, bot_id: str, changes: Mapping[str, Any], actor: Actor, reason: str = "") -> Bot:
    """Change names, limits or the status of a bot, and leave an audit row; the same again changes nothing.

    Raises NotFound, and ValidationFailed for a field that cannot be changed.
    """
    fixed = sorted(set(changes) - CHANGEABLE)
    if fixed:
        raise ValidationFailed(f"These fields cannot be changed: {', '.join(fixed)}.")
    if "status" in changes:
        # A status is a restriction as well: no request that was checked before comes through after.
        await_requests(ControlScope.BOT, bot_id)
    bot = Bot.objects.select_for_update().filter(bot_id=bot_id).first()
    if bot is None:
        raise NotFound("No such bot.", bot_id=bot_id)
    new = {name: value for name, value in changes.items() if getattr(bot, name) != value}
    if not new:
        return bot
    before = {name: wire(getattr(bot, name)) for name in new}
    for name, value in new.items():
        setattr(bot, name, value)
    bot.save(update_fields=[*new, "updated_at"])
    after = {name: wire(value) for name, value in new.items()}
    actor.record(_action(new), "bot", bot_id, before=before, after=after, reason=reason)
    transaction.on_commit(partial(publish, [live_update(bot)]))
    return bot


def _action(changes: Mapping[str, Any]) -> str:
    words = {BotStatus.PAUSED: "bot.pause", BotStatus.ACTIVE: "bot.resume", BotStatus.STOPPED: "bot.stop"}
    return words.get(changes.get("status", ""), "bot.update")


def live_update(bot: Bot) -> LiveUpdate:
    """Return what the live layer shows of a bot."""
    data = shape({name: getattr(bot, name) for name in BOT_FACTS}, BOT_FACTS)
    return LiveUpdate(kind="bot", bot_id=bot.bot_id, symbol="", data=data)


def _state(bot: Bot) -> dict[str, Any]:
    names = ("bot_type", "deployment_mode", "exchange", "currency", "initial_capital", "account_id", *LIMITS)
    return {name: wire(getattr(bot, name)) for name in names}
