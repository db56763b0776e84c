"""The exact replay: every position worked out again from its fills, in fractions, and compared with what is stored.

Written apart from the fold, from the definition of average cost alone: a mistake in the fold passes every identity
between columns, and fails here. Sizes and products are whole numbers of the smallest unit; only the cost of a partial
exit is a fraction.
"""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

from django.db import connection

from bots.services.invariants.base import Findings, Invariant, findings
from bots.services.invariants.parts import DERIVED
from bots.services.invariants.window import POSITIONS as WINDOW_POSITIONS
from bots.services.invariants.window import Window

NAME = "exact_replay"

FETCH = 2000
WIDE = Context(prec=200)
# A fraction that grows longer is cut where no digit that is compared can change.
LONGEST_DENOMINATOR_BITS = 4096
CUT = 10**60

CHAINS = "SELECT bot_id, symbol FROM fills UNION SELECT bot_id, symbol FROM positions ORDER BY bot_id, symbol"
# A sweep begins at the position before the first one that was touched: it must end flat where the next one begins.
TOUCHED = f"""
    SELECT t.bot_id, t.symbol, b.opened_at, b.opening_fill_id, b.position_id
    FROM (
        SELECT DISTINCT ON (p.bot_id, p.symbol) p.bot_id, p.symbol, p.opened_at, p.opening_fill_id
        FROM {WINDOW_POSITIONS}
        JOIN positions p USING (bot_id, position_id) WHERE {DERIVED}
        ORDER BY p.bot_id, p.symbol, p.opened_at, p.opening_fill_id COLLATE "C"
    ) t LEFT JOIN LATERAL (
        SELECT p.opened_at, p.opening_fill_id, p.position_id FROM positions p
        WHERE p.bot_id = t.bot_id AND p.symbol = t.symbol AND {DERIVED}
            AND (p.opened_at, p.opening_fill_id COLLATE "C") < (t.opened_at, t.opening_fill_id)
        ORDER BY p.opened_at DESC, p.opening_fill_id COLLATE "C" DESC LIMIT 1
    ) b ON true
    ORDER BY t.bot_id, t.symbol
"""  # no value stands in it  # nosec B608
FROM_START = """(%(at)s::timestamptz IS NULL
    OR ({at}, {fill} COLLATE "C") >= (%(at)s::timestamptz, %(fill)s::varchar))"""
FILLS = f"""
    SELECT symbol, fill_id, side, price, quantity, coalesce(fee * fee_rate, 0),
        CASE WHEN opened_position_id = %(start)s::varchar THEN closed_quantity ELSE 0 END
    FROM fills WHERE bot_id = %(bot)s AND symbol = ANY(%(symbols)s::varchar[])
        AND {FROM_START.format(at="executed_at", fill="fill_id")}
    ORDER BY symbol, executed_at, fill_id
"""  # no value stands in it  # nosec B608
POSITIONS = f"""
    SELECT p.symbol, p.opening_fill_id, p.position_id, p.side, p.size, p.quantity, p.cost_basis, p.realized_pnl, p.fees,
        p.closing_fill_id
    FROM positions p WHERE p.bot_id = %(bot)s AND p.symbol = ANY(%(symbols)s::varchar[]) AND {DERIVED}
        AND {FROM_START.format(at="p.opened_at", fill="p.opening_fill_id")}
"""  # no value stands in it  # nosec B608
FIELDS = ("side", "size", "quantity", "cost_basis", "realized_pnl", "fees", "closing_fill_id")
# Units of the last digit of the exact columns: amounts have 18 decimals, products 36.
UNITS = {"size": 18, "quantity": 18, "cost_basis": 36, "realized_pnl": 36, "fees": 36}


@dataclass(slots=True)
class Held:
    """One position as the fills make it; sizes in units of 1e-18, money in units of 1e-36."""

    opening_fill_id: str
    side: str
    size: int = 0
    quantity: int = 0
    cost_basis: Fraction | int = 0
    realized_pnl: Fraction | int = 0
    fees: Fraction | int = 0
    fills: int = 0
    closing_fill_id: str | None = None

    def enter(self, price: int, quantity: int, fee: Fraction | int) -> None:
        """Buy into a long position, or sell into a short one."""
        self.size += quantity
        self.quantity += quantity
        self.cost_basis += price * quantity
        self.fees += fee
        self.fills += 1

    def leave(self, fill_id: str, price: int, quantity: int, fee: Fraction | int) -> None:
        """Give up a part at its average cost, or all of it."""
        cost = self.cost_basis if quantity == self.size else Fraction(self.cost_basis * quantity, self.size)
        gain = price * quantity - cost
        self.realized_pnl += gain if self.side == "long" else -gain
        self.cost_basis = _bounded(self.cost_basis - cost)
        self.realized_pnl = _bounded(self.realized_pnl)
        self.size -= quantity
        self.fees += fee
        self.fills += 1
        if not self.size:
            self.closing_fill_id = fill_id


@dataclass(slots=True)
class Chain:
    """All positions of one bot in one symbol, by their opening fill."""

    positions: dict[str, Held] = field(default_factory=dict)
    held: Held | None = None

    def add(self, fill_id: str, side: str, *, price: int, quantity: int, fee: int) -> None:
        """Take in the next fill in the order (executed_at, fill_id)."""
        direction = "long" if side == "buy" else "short"
        if self.held is not None and self.held.side != direction:
            closed = min(quantity, self.held.size)
            share = fee if closed == quantity else Fraction(fee * closed, quantity)
            self.held.leave(fill_id, price, closed, share)
            if not self.held.size:
                self.held = None
            if closed == quantity:
                return
            self._open(fill_id, direction).enter(price, quantity - closed, fee - share)
            return
        (self.held or self._open(fill_id, direction)).enter(price, quantity, fee)

    def begin(self, fill_id: str, side: str, *, price: int, quantity: int, fee: int, closed: int) -> None:
        """Begin with a fill of which a part had closed the position before."""
        rest = quantity - closed
        share = Fraction(fee * rest, quantity)
        self._open(fill_id, "long" if side == "buy" else "short").enter(price, rest, share)

    def _open(self, fill_id: str, side: str) -> Held:
        self.held = self.positions[fill_id] = Held(fill_id, side)
        return self.held


def _bounded(value: Fraction | int) -> Fraction | int:
    if isinstance(value, Fraction) and value.denominator.bit_length() > LONGEST_DENOMINATOR_BITS:
        return Fraction(round(value * CUT), CUT)
    return value


def differences(window: Window | None) -> Iterator[dict[str, Any]]:
    """Yield every figure of a derived position that its fills do not give."""
    with connection.cursor() as cursor:
        if window is not None:
            cursor.execute(TOUCHED, window.keys)
            for bot_id, symbol, at, fill_id, position_id in cursor.fetchall():
                yield from _differences(bot_id, [symbol], at=at, fill=fill_id, start=position_id)
            return
        cursor.execute(CHAINS)
        chains = cursor.fetchall()
    for bot_id, rows in groupby(chains, key=lambda row: str(row[0])):
        yield from _differences(bot_id, [symbol for _, symbol in rows], at=None, fill=None, start=None)


def _differences(bot_id: str, symbols: list[str], **start: Any) -> Iterator[dict[str, Any]]:
    params: dict[str, Any] = {"bot": bot_id, "symbols": symbols, **start}
    stored: dict[str, dict[str, tuple[Any, ...]]] = {symbol: {} for symbol in symbols}
    with connection.cursor() as cursor:
        cursor.execute(POSITIONS, params)
        for symbol, opening_fill_id, *figures in cursor:
            stored[symbol][opening_fill_id] = tuple(figures)
    for symbol, chain in _chains(params):
        for found in _compare(stored.pop(symbol), chain):
            yield {"bot_id": bot_id, "symbol": symbol, **found}
    for symbol, positions in stored.items():
        for found in _compare(positions, Chain()):
            yield {"bot_id": bot_id, "symbol": symbol, **found}


def _chains(params: dict[str, Any]) -> Iterator[tuple[str, Chain | None]]:
    """Yield each symbol's chain, None for one that cannot be worked out. Fills are read in pieces."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(FILLS, params)
        rows = (row for piece in iter(lambda: cursor.fetchmany(FETCH), []) for row in piece)
        for symbol, fills in groupby(rows, key=lambda row: str(row[0])):
            try:
                yield symbol, _chain(row[1:] for row in fills)
            except ValueError:
                # Not a number; I18 names it.
                yield symbol, None


def _chain(fills: Iterable[tuple[Any, ...]]) -> Chain:
    chain = Chain()
    for fill_id, side, price, quantity, fee, closed in fills:
        units = {"price": _units(price, 18), "quantity": _units(quantity, 18), "fee": _units(fee, 36)}
        if closed:
            chain.begin(fill_id, side, closed=_units(closed, 18), **units)
        else:
            chain.add(fill_id, side, **units)
    return chain


def _compare(stored: dict[str, tuple[Any, ...]], chain: Chain | None) -> Iterator[dict[str, Any]]:
    if chain is None:
        yield _row(None, "", "fills", "not a number", None)
        return
    for opening_fill_id, held in chain.positions.items():
        row = stored.pop(opening_fill_id, None)
        if row is None:
            yield _row(None, opening_fill_id, "position", None, "a position of these fills")
            continue
        position_id, *values = row
        for name, value in zip(FIELDS, values, strict=True):
            exact = getattr(held, name)
            places = UNITS.get(name)
            if places is None:
                if value != exact:
                    yield _row(position_id, opening_fill_id, name, value, exact)
            # The fold rounds once for each partial exit, to its last digit.
            elif not value.is_finite() or abs(_units(value, places) - exact) > (held.fills if places == 36 else 0):
                yield _row(position_id, opening_fill_id, name, f"{value:f}", f"{_decimal(exact, places):f}")
    for opening_fill_id, (position_id, *_) in stored.items():
        yield _row(position_id, opening_fill_id, "position", "a position", None)


def _row(position_id: str | None, opening_fill_id: str, name: str, stored: Any, exact: Any) -> dict[str, Any]:
    return {
        "position_id": position_id,
        "opening_fill_id": opening_fill_id,
        "field": name,
        "stored": stored,
        "exact": exact,
    }


def _units(value: Decimal, places: int) -> int:
    return int(WIDE.scaleb(value, places))


def _decimal(value: Fraction | int, places: int) -> Decimal:
    return WIDE.scaleb(Decimal(round(value)), -places)


def _replay(window: Window | None) -> Findings:
    return findings(differences(window))


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        NAME,
        "Positions worked out again from their fills, in fractions, are those that are stored, to the last digit.",
        _replay,
    ),
)
