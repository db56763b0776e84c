"""Sums over open positions and bots, kept apart by (deployment mode, currency): unlike things are never added."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bots.choices import BotStatus
from bots.ledger.fold import EXACT
from bots.ledger.shapes import plain
from bots.ledger.symbols import split_symbol
from bots.live.rows import ZERO, LiveBot, LivePosition

Group = tuple[str, str]


@dataclass(slots=True)
class _Sum:
    count: int = 0
    unmarked: int = 0
    exposure: Decimal = ZERO
    unrealized: Decimal = ZERO


@dataclass(slots=True)
class Totals:
    """The sums of the positions it was told of; putting one again replaces what it contributed."""

    _sums: dict[Group, _Sum] = field(default_factory=dict)
    _parts: dict[str, tuple[Group, Decimal | None, Decimal]] = field(default_factory=dict)
    _base: dict[Group, dict[str, Any]] | None = None

    def put(self, position: LivePosition, group: Group) -> None:
        """Count a position with its present value. Exact: sums of sums never drift."""
        self.drop(position.position_id)
        part = self._parts[position.position_id] = (group, position.exposure, position.unrealized)
        self._add(part, 1)

    def drop(self, position_id: str) -> None:
        """Forget a position, if it was counted."""
        part = self._parts.pop(position_id, None)
        if part is not None:
            self._add(part, -1)

    def _add(self, part: tuple[Group, Decimal | None, Decimal], sign: int) -> None:
        group, exposure, unrealized = part
        total = self._sums.setdefault(group, _Sum())
        total.count += sign
        if exposure is None:
            total.unmarked += sign
            return
        combine = EXACT.add if sign > 0 else EXACT.subtract
        total.exposure = combine(total.exposure, exposure)
        total.unrealized = combine(total.unrealized, unrealized)

    def row(
        self, bots: Iterable[LiveBot], realized: Mapping[tuple[str, str], Decimal], *, has_equity: bool
    ) -> dict[str, Any]:
        """Return the totals as they travel: counts over all, money per mode and currency.

        exposure: sum of size x price; unrealized_pnl and realized_today (net): in the group's currency;
        equity: sum of the last reported ones, null where there is none or it does not apply (one symbol);
        bots_without_equity are not in it.
        """
        if self._base is None:
            self._base = _bot_sums(bots, realized, has_equity=has_equity)
        groups = {key: dict(group) for key, group in self._base.items()}
        for key, total in self._sums.items():
            if total.count:
                group = groups.setdefault(key, _empty(key))
                group |= {"open_positions": total.count, "unmarked": total.unmarked}
                group |= {"exposure": plain(total.exposure), "unrealized_pnl": plain(total.unrealized)}
        return {
            "open_positions": sum(total.count for total in self._sums.values()),
            "bots": sum(group["bots"] for group in groups.values()),
            "by_currency": {"/".join(key): groups[key] for key in sorted(groups)},
        }

    def forget_bots(self) -> None:
        """Have the share of the bots summed again: one of them changed."""
        self._base = None


def _bot_sums(
    bots: Iterable[LiveBot], realized: Mapping[tuple[str, str], Decimal], *, has_equity: bool
) -> dict[Group, dict[str, Any]]:
    """Sum what does not move with the prices: counts, equity, the day's net P&L."""
    listed = {bot.bot_id: bot for bot in bots if bot.status != BotStatus.ARCHIVED}
    equity: dict[Group, Decimal] = {}
    earned: dict[Group, Decimal] = {}
    groups: dict[Group, dict[str, Any]] = {}
    for bot in listed.values():
        key = (bot.mode, bot.currency)
        group = groups.setdefault(key, _empty(key))
        group["bots"] += 1
        if bot.equity is None:
            group["bots_without_equity"] += 1
        else:
            equity[key] = EXACT.add(equity.get(key, ZERO), bot.equity)
    for (bot_id, symbol), net in realized.items():
        if bot_id in listed:
            key = (listed[bot_id].mode, split_symbol(symbol, listed[bot_id].currency)[1])
            groups.setdefault(key, _empty(key))
            earned[key] = EXACT.add(earned.get(key, ZERO), net)
    for key, group in groups.items():
        group["realized_today"] = plain(earned.get(key, ZERO))
        if has_equity and key in equity:
            group["equity"] = plain(equity[key])
    return groups


def _empty(key: Group) -> dict[str, Any]:
    counts = {"bots": 0, "bots_without_equity": 0, "open_positions": 0, "unmarked": 0}
    money = dict.fromkeys(("exposure", "unrealized_pnl", "realized_today"), "0")
    return {"deployment_mode": key[0], "currency": key[1], **counts, **money, "equity": None}
