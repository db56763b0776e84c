"""Admission of an order: the control state and the bot's limits, as a pure rule."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypedDict

from bots.choices import BotStatus, ControlLevel, Direction, Side
from bots.ledger.fold import fraction
from bots.ledger.shapes import plain

SEVERITY = {ControlLevel.ACTIVE: 0, ControlLevel.REDUCING: 1, ControlLevel.HALTED: 2}


class Reason(TypedDict):
    """One rule that refuses an order, with the value that broke it and the limit in force."""

    rule: str
    current: str
    limit: str


@dataclass(frozen=True, slots=True)
class Restriction:
    """One control state that applies, in the words of whoever set it."""

    scope: str
    target: str
    level: ControlLevel
    version: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a bot is held to; None is "no limit". Shares are fractions."""

    max_positions: int
    leverage: int
    daily_loss: Decimal | None
    weekly_loss: Decimal | None
    drawdown: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a bot stands at the moment it asks. Equities are in its currency, None is "not known"."""

    status: BotStatus
    restrictions: tuple[Restriction, ...] = field(default=())
    held_side: Direction | None = None
    held_size: Decimal = Decimal(0)
    symbols_in_use: int = 0
    equity: Decimal | None = None
    equity_day_start: Decimal | None = None
    equity_week_start: Decimal | None = None
    equity_peak: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The order that is asked for."""

    side: str
    quantity: Decimal
    leverage: Decimal | None
    reduce_only: bool


def level_of(status: BotStatus, restrictions: tuple[Restriction, ...]) -> ControlLevel:
    """Return the strictest level in force; a paused bot may only shrink, a stopped one does nothing."""
    levels = [restriction.level for restriction in restrictions]
    if status == BotStatus.PAUSED:
        levels.append(ControlLevel.REDUCING)
    elif status != BotStatus.ACTIVE:
        levels.append(ControlLevel.HALTED)
    return max(levels, key=SEVERITY.__getitem__, default=ControlLevel.ACTIVE)


def shrinks(ask: Ask, standing: Standing) -> bool:
    """Whether the order only makes the held position smaller."""
    if standing.held_side is None:
        return False
    against = Side.SELL if standing.held_side == Direction.LONG else Side.BUY
    return ask.side == against and ask.quantity <= standing.held_size


def admit(ask: Ask, standing: Standing, limits: Limits) -> list[Reason]:
    """Return the reasons that refuse the order; none admits it."""
    reasons: list[Reason] = []
    smaller = shrinks(ask, standing)
    level = level_of(standing.status, standing.restrictions)
    if level == ControlLevel.HALTED or (level == ControlLevel.REDUCING and not smaller):
        reasons.append({"rule": "control_state", "current": str(level), "limit": str(ControlLevel.ACTIVE)})
    if ask.reduce_only and not smaller:
        held = plain(standing.held_size)
        reasons.append({"rule": "reduce_only", "current": plain(ask.quantity), "limit": held})
    if smaller:
        # A limit never keeps a bot from getting out.
        return reasons
    if ask.leverage is not None and ask.leverage > limits.leverage:
        reasons.append({"rule": "leverage_limit", "current": plain(ask.leverage), "limit": str(limits.leverage)})
    if standing.held_side is None and standing.symbols_in_use >= limits.max_positions:
        current, limit = str(standing.symbols_in_use), str(limits.max_positions)
        reasons.append({"rule": "position_limit", "current": current, "limit": limit})
    for rule, start, limit_share in (
        ("daily_loss_limit", standing.equity_day_start, limits.daily_loss),
        ("weekly_loss_limit", standing.equity_week_start, limits.weekly_loss),
        ("max_drawdown", standing.equity_peak, limits.drawdown),
    ):
        if limit_share is None or start is None or standing.equity is None or start <= 0:
            continue
        loss = fraction(start - standing.equity, start)
        if loss >= limit_share:
            reasons.append({"rule": rule, "current": plain(loss), "limit": plain(limit_share)})
    return reasons
