"""Whether the ledger holds exactly what was told: every write once, and the figures that follow from them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.chaos.stories import Write
from tests.reference import Execution, hold

Ask = Callable[..., list[tuple[Any, ...]]]

# The id of each write of a kind, as often as it took effect.
STORED = {
    "signal": "SELECT signal_id FROM trading.signals WHERE bot_id = %s",
    "order": "SELECT order_id FROM trading.orders WHERE bot_id = %s",
    "fill": "SELECT fill_id FROM trading.fills WHERE bot_id = %s",
    "balance": "SELECT balance_id FROM trading.account_balance WHERE bot_id = %s",
    "event": "SELECT event_id FROM audit.system_events WHERE bot_id = %s AND event_id LIKE 'e-%%'",
    "order_update": "SELECT order_id || ' ' || to_status FROM trading.order_events"
    " WHERE bot_id = %s AND content_hash IS NOT NULL",
}
DEPOSITS = "SELECT cash_flow_id FROM trading.cash_flows WHERE bot_id = %s AND kind = 'deposit'"
ORDERS = "SELECT order_id, filled_quantity, fees, status FROM trading.orders WHERE bot_id = %s"
POSITIONS = """
    SELECT coalesce(sum(CASE side WHEN 'long' THEN size ELSE -size END), 0),
        coalesce(sum(CASE side WHEN 'long' THEN cost_basis ELSE -cost_basis END), 0),
        coalesce(sum(realized_pnl), 0), coalesce(sum(fees), 0)
    FROM trading.positions WHERE bot_id = %s AND symbol = %s
"""
# The ledger rounds what a partial exit cost to this.
LAST_DIGIT = Fraction(1, 10**36)


@dataclass
class Verdict:
    """What the ledger says to what bots told. `lost`, `doubled`, `unknown` and `wrong` name what should not be."""

    acknowledged: int = 0
    stored: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.unknown or self.wrong)


def judge(ask: Ask, told: dict[str, list[Write]], acknowledged: dict[str, set[tuple[str, str]]]) -> Verdict:
    """Compare the ledger with what each bot told and, of that, what was acknowledged as (kind, id)."""
    verdict = Verdict()
    for bot_id, writes in told.items():
        _count_rows(verdict, ask, bot_id, writes, acknowledged[bot_id])
        stored = [write for write in writes if (write.kind, write.id) in acknowledged[bot_id]]
        verdict.wrong += [f"{bot_id} {problem}" for problem in wrong_figures(ask, bot_id, stored)]
    return verdict


def _count_rows(
    verdict: Verdict, ask: Ask, bot_id: str, writes: Iterable[Write], acknowledged: Collection[tuple[str, str]]
) -> None:
    known = {(write.kind, write.id) for write in writes}
    rows = Counter((kind, row[0]) for kind, query in STORED.items() for row in ask(query, bot_id))
    verdict.acknowledged += len(acknowledged)
    verdict.stored += len(rows)
    verdict.lost += [f"{bot_id} {kind} {name}" for kind, name in acknowledged if (kind, name) not in rows]
    verdict.doubled += [f"{bot_id} {kind} {name}: {count} times" for (kind, name), count in rows.items() if count > 1]
    verdict.unknown += [f"{bot_id} {kind} {name}" for kind, name in rows if (kind, name) not in known]


def wrong_figures(ask: Ask, bot_id: str, writes: Iterable[Write]) -> list[str]:
    """Return every figure of a bot that does not follow from its writes: orders, positions, deposits."""
    unique = {(write.kind, write.id): write for write in writes}.values()
    bodies: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for write in unique:
        bodies[write.kind].append(write.body)
    orders = {body["order_id"]: body for body in bodies["order"]}
    fills = [fill for fill in bodies["fill"] if fill["order_id"] in orders]
    found = _wrong_orders(ask, bot_id, orders, fills, bodies["order_update"])
    for symbol in sorted({order["symbol"] for order in orders.values()}):
        found += _wrong_positions(ask, bot_id, symbol, orders, fills)
    deposits = sorted(body["balance_id"] for body in bodies["balance"] if body.get("snapshot_type") == "deposit")
    if sorted(row[0] for row in ask(DEPOSITS, bot_id)) != deposits:
        found.append(f"deposits are not the {len(deposits)} that were told")
    return found


def _wrong_orders(
    ask: Ask, bot_id: str, orders: dict[str, Any], fills: list[dict[str, Any]], news: list[dict[str, Any]]
) -> list[str]:
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        filled[fill["order_id"]] += Decimal(fill["quantity"])
        fees[fill["order_id"]] += Decimal(fill.get("fee", "0"))
    told = {(one["order_id"], one["status"]) for one in news}
    found = []
    for order_id, *stored in ask(ORDERS, bot_id):
        if order_id not in orders:
            continue
        status = _status(order_id, Decimal(orders[order_id]["quantity"]), filled[order_id], told)
        wanted = [filled[order_id], fees[order_id], status]
        if stored != wanted:
            found.append(f"order {order_id} is {stored}, was told {wanted}")
    return found


def _status(order_id: str, quantity: Decimal, filled: Decimal, told: Collection[tuple[str, str]]) -> str:
    if filled >= quantity:
        return "filled"
    if (order_id, "cancelled") in told:
        return "cancelled"
    if filled:
        return "partially_filled"
    return "submitted" if (order_id, "submitted") in told else "pending"


def _wrong_positions(
    ask: Ask, bot_id: str, symbol: str, orders: dict[str, Any], fills: list[dict[str, Any]]
) -> list[str]:
    ours = [fill for fill in fills if orders[fill["order_id"]]["symbol"] == symbol]
    holding = hold(
        Execution(
            (datetime.fromisoformat(fill["executed_at"]), fill["fill_id"]), orders[fill["order_id"]]["side"],
            Fraction(fill["price"]), Fraction(fill["quantity"]),
        )
        for fill in ours
    )  # fmt: skip
    fees = sum((Fraction(fill.get("fee", "0")) for fill in ours), Fraction(0))
    (stored,) = ask(POSITIONS, bot_id, symbol)
    size, cost, realized, stored_fees = map(Fraction, stored)
    allowed = len(ours) * LAST_DIGIT
    found = []
    if size != holding.size or stored_fees != fees:
        found.append(f"{symbol}: size and fees {size}, {stored_fees}, should be {holding.size}, {fees}")
    if abs(cost - holding.cost) > allowed or abs(realized - holding.realized) > allowed:
        found.append(f"{symbol}: cost and P&L {cost}, {realized}, should be {holding.cost}, {holding.realized}")
    return found
