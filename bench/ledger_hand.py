"""The baseline: what a careful engineer writes by hand, bare psycopg on one connection, one statement after another.

It leaves the same rows as the API does (the benchmark compares them) and nothing else of what the API is: no parsing,
no key check, no comparison of repeats, no answer, no publish. Statements are prepared when they are first seen.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from bench.ledger_script import Balance, Event, Fact, Fill, Order, Signal, Update

EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
AMOUNT, EXACT_STEP, RATIO = (Decimal(1).scaleb(-places) for places in (18, 36, 12))
ZERO = Decimal(0)

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s || chr(31) || %s, 0))"
LOCK_OF_ORDER = """
    SELECT pg_advisory_xact_lock(hashtextextended(bot_id || chr(31) || symbol, 0)) FROM orders
    WHERE bot_id = %s AND order_id = %s
"""
LOAD = """
    SELECT o.symbol, o.side, o.quantity, o.filled_quantity, o.filled_notional, o.fees, o.status, p.position_id, p.side,
        p.size, p.quantity, p.cost_basis, p.entry_notional, p.exit_notional, p.realized_pnl, p.fees, p.opened_at
    FROM orders o
    LEFT JOIN positions p ON p.bot_id = o.bot_id AND p.symbol = o.symbol AND p.status IN ('open', 'partially_closed')
    WHERE o.bot_id = %s AND o.order_id = %s
"""
INSERT_FILL = """
    INSERT INTO fills (bot_id, account_id, fill_id, order_id, symbol, side, price, quantity, fee, fee_currency,
        liquidity, executed_at, source, content_hash, position_id, closed_quantity, closing_fee_quote, realized_pnl,
        fee_rate, fee_quote, flags)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'USDT', 'taker', %s, 'api', %s, %s, %s, %s, %s, 1, %s, '{}')
    ON CONFLICT (bot_id, fill_id) DO NOTHING
"""
UPDATE_ORDER = """
    UPDATE orders SET filled_quantity = %s, filled_notional = %s, avg_fill_price = %s, fees = %s, status = %s,
        filled_at = CASE WHEN %s = 'filled' THEN %s::timestamptz END, position_id = %s, trade_id = %s,
        updated_at = now()
    WHERE bot_id = %s AND order_id = %s
"""
INSERT_FILL_EVENT = """
    INSERT INTO order_events (bot_id, order_id, from_status, to_status, at, fill_id, source)
    VALUES (%s, %s, %s, %s, %s, %s, 'api')
"""
INSERT_POSITION = """
    INSERT INTO positions (bot_id, symbol, position_id, side, size, quantity, avg_entry_price, cost_basis,
        entry_notional, fees, current_price, unrealized_pnl, unrealized_pnl_pct, leverage, strategy, status, opened_at,
        opening_fill_id, last_fill_id, last_fill_at, fill_count)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 1, 'bench', 'open', %s, %s, %s, %s, 1)
"""
INSERT_TRADE = """
    INSERT INTO trades (bot_id, symbol, trade_id, position_id, side, quantity, entry_price, avg_fill_price,
        position_size_usd, fees, pnl_pct, leverage, strategy, is_paper_trade, entry_time)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, 'bench', true, %s)
"""
UPDATE_POSITION = """
    UPDATE positions SET size = %s, quantity = %s, avg_entry_price = %s, cost_basis = %s, entry_notional = %s,
        exit_notional = %s, realized_pnl = %s, fees = %s, unrealized_pnl = %s, unrealized_pnl_pct = %s,
        current_price = %s, status = %s, closed_at = %s, closing_fill_id = %s, last_fill_id = %s, last_fill_at = %s,
        fill_count = fill_count + 1, version = version + 1, last_updated = now(), updated_at = now()
    WHERE bot_id = %s AND position_id = %s
"""
UPDATE_TRADE = """
    UPDATE trades SET quantity = %s, entry_price = %s, avg_fill_price = %s, position_size_usd = %s, gross_pnl = %s,
        fees = %s, pnl_pct = %s, exit_time = %s, exit_price = %s, holding_time_seconds = %s, exit_reason = %s,
        updated_at = now()
    WHERE bot_id = %s AND position_id = %s
"""
ENTRIES_AND_EXITS = """
    UPDATE positions p SET
        entry_trade_ids = (SELECT array_agg(fill_id::text ORDER BY executed_at) FROM fills f
            WHERE f.bot_id = p.bot_id AND f.position_id = p.position_id AND f.closed_quantity = 0),
        exit_trade_ids = (SELECT array_agg(fill_id::text ORDER BY executed_at) FROM fills f
            WHERE f.bot_id = p.bot_id AND f.position_id = p.position_id AND f.closed_quantity > 0)
    WHERE p.bot_id = %s AND p.position_id = %s
"""
INSERT_ORDER = """
    INSERT INTO orders (bot_id, order_id, symbol, side, order_type, intent, quantity, is_paper_trade, strategy, status,
        reported_status, created_at, source, content_hash)
    VALUES (%s, %s, %s, %s, 'market', 'report', %s, true, 'bench', 'pending', 'pending', %s, 'api', %s)
    ON CONFLICT (bot_id, order_id) DO NOTHING
"""
INSERT_ORDER_EVENT = """
    INSERT INTO order_events (bot_id, order_id, to_status, at, source) VALUES (%s, %s, 'pending', %s, 'api')
"""
LOAD_ORDER = "SELECT status FROM orders WHERE bot_id = %s AND order_id = %s"
SUBMIT_ORDER = """
    UPDATE orders SET status = 'submitted', reported_status = 'submitted', reported_at = %s, submitted_at = %s,
        exchange_order_id = %s, updated_at = now()
    WHERE bot_id = %s AND order_id = %s
"""
INSERT_UPDATE_EVENT = """
    INSERT INTO order_events (bot_id, order_id, from_status, to_status, at, details, content_hash, source)
    VALUES (%s, %s, %s, 'submitted', %s, %s, %s, 'api')
"""
INSERT_SIGNAL = """
    INSERT INTO signals (bot_id, signal_id, symbol, signal_type, price, strategy, "timestamp", indicators, source,
        content_hash)
    VALUES (%s, %s, %s, %s, %s, 'bench', %s, %s, 'api', %s) ON CONFLICT (bot_id, signal_id) DO NOTHING
"""
INSERT_KEY = """
    INSERT INTO ingest_keys (bot_id, kind, natural_id, content_hash, fact_at) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (bot_id, kind, natural_id) DO NOTHING
"""
INSERT_BALANCE = """
    INSERT INTO account_balance (bot_id, balance_id, "timestamp", total_balance, available_balance, equity,
        snapshot_type)
    VALUES (%s, %s, %s, %s, %s, %s, 'periodic')
"""
UPDATE_EQUITY = """
    UPDATE bots SET current_equity = %s WHERE bot_id = %s AND NOT EXISTS (
        SELECT 1 FROM account_balance WHERE bot_id = %s AND "timestamp" > %s)
"""
INSERT_EVENT = """
    INSERT INTO system_events (bot_id, event_id, event_type, event_level, message, event_time, source)
    VALUES (%s, %s, 'SLOW_LOOP', 'INFO', %s, %s, 'api')
"""


class Owner(NamedTuple):
    """The bot that the facts belong to, and its account's key."""

    bot_id: str
    account_id: int


class Held(NamedTuple):
    """The figures of a position, before or after a fill."""

    side: str
    size: Decimal
    quantity: Decimal
    cost_basis: Decimal
    entry_notional: Decimal
    exit_notional: Decimal
    realized_pnl: Decimal
    fees: Decimal

    def after(self, side: str, fill: Fill) -> "Held":
        """Return what one more fill makes of it, by average cost."""
        notional, fees = fill.price * fill.quantity, self.fees + fill.fee
        if side == self.side:
            return self._replace(
                size=self.size + fill.quantity, quantity=self.quantity + fill.quantity,
                cost_basis=self.cost_basis + notional, entry_notional=self.entry_notional + notional, fees=fees,
            )  # fmt: skip
        cost = (self.cost_basis * fill.quantity / self.size).quantize(EXACT_STEP)
        realized = self.realized_pnl + (notional - cost if self.side == "long" else cost - notional)
        return self._replace(
            size=self.size - fill.quantity, cost_basis=self.cost_basis - cost,
            exit_notional=self.exit_notional + notional, realized_pnl=realized, fees=fees,
        )  # fmt: skip


class Hand:
    """One connection and the transactions an engineer would write on it."""

    def __init__(self, url: str, options: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True, prepare_threshold=0, options=options)
        self._cursor = self.connection.cursor()
        self._execute = self._cursor.execute
        self._one: dict[type, Callable[[Owner, Any], None]] = {
            Fill: self._fill, Order: self._order, Signal: self._signal, Update: self._update, Balance: self._balance,
            Event: self._event,
        }  # fmt: skip

    def write(self, owner: Owner, facts: Sequence[Fact]) -> None:
        """Write facts in one transaction."""
        with localcontext(EXACT):
            self._execute("BEGIN")
            for fact in facts:
                self._one[type(fact)](owner, fact)
            self._execute("COMMIT")

    def _fill(self, owner: Owner, fill: Fill) -> None:
        bot, at = owner.bot_id, fill.executed_at
        self._execute(LOCK_OF_ORDER, (bot, fill.order_id))
        row = self._execute(LOAD, (bot, fill.order_id)).fetchone()
        assert row is not None
        symbol, side, ordered, filled, notional, order_fees, status, position_id, *figures, opened_at = row
        direction = "long" if side == "buy" else "short"
        old = Held(*figures) if position_id else None
        new = old.after(direction, fill) if old else _opened(direction, fill)
        closes = old is not None and old.side != direction
        position_id = position_id or f"pos_{fill.fill_id}"
        told = (
            bot,
            owner.account_id,
            fill.fill_id,
            fill.order_id,
            symbol,
            side,
            fill.price,
            fill.quantity,
            fill.fee,
            at,
        )
        derived = (position_id, *((fill.quantity, fill.fee) if closes else (ZERO, ZERO)))
        realized = new.realized_pnl - old.realized_pnl if old else ZERO
        if not self._execute(INSERT_FILL, (*told, _digest(fill.fill_id), *derived, realized, fill.fee)).rowcount:
            return
        filled, notional = filled + fill.quantity, notional + fill.price * fill.quantity
        moved = "filled" if filled >= ordered else "partially_filled"
        sums = (filled, notional, (notional / filled).quantize(AMOUNT), order_fees + fill.fee, moved, moved, at)
        self._execute(UPDATE_ORDER, (*sums, position_id, f"trd_{position_id}", bot, fill.order_id))
        if old is None:
            self._open(owner, symbol, position_id, new, fill)
        else:
            self._change(owner, position_id, new, fill, opened_at)
        if moved != status:
            self._execute(INSERT_FILL_EVENT, (bot, fill.order_id, status, moved, at, fill.fill_id))

    def _open(self, owner: Owner, symbol: str, position_id: str, held: Held, fill: Fill) -> None:
        price, at, name = fill.price, fill.executed_at, fill.fill_id
        figures = (held.side, held.size, held.quantity, price, held.cost_basis, held.entry_notional, held.fees, price)
        self._execute(INSERT_POSITION, (owner.bot_id, symbol, position_id, *figures, at, name, name, at))
        share = (-held.fees / held.entry_notional).quantize(RATIO)
        trade = (held.side, held.quantity, price, price, held.entry_notional, held.fees, share, at)
        self._execute(INSERT_TRADE, (owner.bot_id, symbol, f"trd_{position_id}", position_id, *trade))

    def _change(self, owner: Owner, position_id: str, held: Held, fill: Fill, opened_at: Any) -> None:
        is_open, entry = held.size > 0, (held.entry_notional / held.quantity).quantize(AMOUNT)
        key, at = (owner.bot_id, position_id), fill.executed_at
        average, unrealized, share = entry, ZERO, ZERO
        if is_open:
            average = (held.cost_basis / held.size).quantize(AMOUNT)
            gain = fill.price * held.size - held.cost_basis
            unrealized = gain if held.side == "long" else -gain
            share = (unrealized / held.cost_basis).quantize(RATIO)
        figures = (held.size, held.quantity, average, *held[3:8], unrealized, share, fill.price)
        ends = ("open", None, None) if is_open else ("closed", at, fill.fill_id)
        self._execute(UPDATE_POSITION, (*figures, *ends, fill.fill_id, at, *key))
        earned = ((held.realized_pnl - held.fees) / held.entry_notional).quantize(RATIO)
        trade = (held.quantity, entry, entry, held.entry_notional, held.realized_pnl, held.fees, earned)
        if is_open:
            self._execute(UPDATE_TRADE, (*trade, None, None, None, None, *key))
            return
        exit_price = (held.exit_notional / held.quantity).quantize(AMOUNT)
        seconds = int((at - opened_at).total_seconds())
        self._execute(UPDATE_TRADE, (*trade, at, exit_price, seconds, "manual", *key))
        self._execute(ENTRIES_AND_EXITS, key)

    def _order(self, owner: Owner, order: Order) -> None:
        self._execute(LOCK, (owner.bot_id, order.symbol))
        values = (owner.bot_id, order.order_id, order.symbol, order.side, order.quantity, order.created_at)
        if self._execute(INSERT_ORDER, (*values, _digest(order.order_id))).rowcount:
            self._execute(INSERT_ORDER_EVENT, (owner.bot_id, order.order_id, order.created_at))

    def _update(self, owner: Owner, update: Update) -> None:
        key = (owner.bot_id, update.order_id)
        self._execute(LOCK_OF_ORDER, key)
        row = self._execute(LOAD_ORDER, key).fetchone()
        assert row is not None
        self._execute(SUBMIT_ORDER, (update.at, update.at, update.exchange_order_id, *key))
        details = Jsonb({"status": "submitted", "exchange_order_id": update.exchange_order_id})
        self._execute(INSERT_UPDATE_EVENT, (*key, row[0], update.at, details, _digest(update.order_id)))

    def _signal(self, owner: Owner, signal: Signal) -> None:
        indicators = Jsonb({"ema_fast": 100.5, "ema_slow": 99.25})
        self._execute(INSERT_SIGNAL, (owner.bot_id, *signal, indicators, _digest(signal.signal_id)))

    def _balance(self, owner: Owner, balance: Balance) -> None:
        bot, at, equity = owner.bot_id, balance.timestamp, balance.equity
        key = (bot, "balance", balance.balance_id, _digest(balance.balance_id), at)
        if self._execute(INSERT_KEY, key).rowcount:
            self._execute(INSERT_BALANCE, (bot, balance.balance_id, at, equity, equity, equity))
            self._execute(UPDATE_EQUITY, (equity, bot, bot, at))

    def _event(self, owner: Owner, event: Event) -> None:
        bot, at = owner.bot_id, event.event_time
        if self._execute(INSERT_KEY, (bot, "event", event.event_id, _digest(event.event_id), at)).rowcount:
            self._execute(INSERT_EVENT, (bot, event.event_id, event.message, at))


def _opened(side: str, fill: Fill) -> Held:
    notional = fill.price * fill.quantity
    return Held(side, fill.quantity, fill.quantity, notional, notional, ZERO, ZERO, fill.fee)


def _digest(name: str) -> bytes:
    return sha256(name.encode()).digest()
