"""The bots of the ledger benchmark: their rows before it, what both sides left behind, and their removal."""

from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import psycopg

from bench.ledger_hand import Hand, Owner
from bench.ledger_script import Script

# Counts and sums of everything that facts leave behind. The two sides must not differ in one of them.
LEFT_BEHIND = """
    SELECT (SELECT count(*) FROM fills WHERE bot_id = b.bot_id),
        (SELECT array[sum(closed_quantity), sum(realized_pnl), sum(fee_quote)] FROM fills WHERE bot_id = b.bot_id),
        (SELECT array[count(*), sum(filled_quantity), sum(filled_notional), sum(fees), sum(avg_fill_price),
            count(filled_at), count(*) FILTER (WHERE status = 'filled')] FROM orders WHERE bot_id = b.bot_id),
        (SELECT array[count(*), sum(size), sum(cost_basis), sum(entry_notional), sum(exit_notional), sum(realized_pnl),
            sum(unrealized_pnl), sum(fees), sum(fill_count), sum(version), sum(cardinality(entry_trade_ids)),
            sum(cardinality(exit_trade_ids)), count(closed_at)] FROM positions WHERE bot_id = b.bot_id),
        (SELECT array[count(*), sum(gross_pnl), sum(fees), sum(pnl_usd), sum(pnl_pct), count(exit_time),
            sum(exit_price)] FROM trades WHERE bot_id = b.bot_id),
        (SELECT count(*) FROM order_events WHERE bot_id = b.bot_id),
        (SELECT count(*) FROM signals WHERE bot_id = b.bot_id),
        (SELECT count(*) FROM ingest_keys WHERE bot_id = b.bot_id), b.current_equity,
        (SELECT count(*) FROM account_balance WHERE bot_id = b.bot_id),
        (SELECT count(*) FROM system_events WHERE bot_id = b.bot_id),
        (SELECT count(*) FROM reconciliation_cases WHERE bot_id = b.bot_id)
    FROM bots b WHERE b.bot_id = %s
"""
# Children before what they refer to.
TABLES = (
    "fills", "order_events", "orders", "positions", "trades", "signals", "ingest_keys", "account_balance",
    "system_events", "reconciliation_cases", "risk_events", "cash_flows", "bot_tokens", "bots",
)  # fmt: skip


@dataclass(slots=True)
class BenchBot:
    """A bot of one side, the token it shows, and what it has still to tell."""

    owner: Owner
    script: Script
    token: str = field(repr=False)


class LedgerRows:
    """Pairs of bots for the time of a `with` block: the API writes for one of a pair, the hand for the other."""

    def __init__(self, url: str, options: str, *, pairs: int) -> None:
        self._url, self._options = url, options
        self.name = f"bench-{uuid4().hex[:12]}"
        self.api = [self._bot(f"{self.name}-api{n}", f"BENCH{n}USDT") for n in range(pairs)]
        self.hand = [self._bot(f"{self.name}-sql{n}", f"BENCH{n}USDT") for n in range(pairs)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from bots.live.client import sync_client

        pattern = f"{self.name}-%"
        with psycopg.connect(self._url, autocommit=True, options=self._options) as connection:
            for table in TABLES:
                connection.execute(f"DELETE FROM {table} WHERE bot_id LIKE %s", [pattern])
            connection.execute("DELETE FROM exchange_accounts WHERE account_id LIKE %s", [pattern])
        for key in sync_client().scan_iter(match=f"{self.name}:*", count=1000):
            sync_client().delete(key)

    @staticmethod
    def _bot(bot_id: str, symbol: str) -> BenchBot:
        from audit.services.actions import SYSTEM
        from bots.services.registry import bot_register
        from bots.services.tokens import token_create

        common: dict[str, Any] = {"bot_type": "custom", "strategy_name": "bench", "deployment_mode": "demo"}
        bot = bot_register(bot_id=bot_id, bot_name="bench", initial_capital=Decimal(10_000), **common).bot
        token = token_create(bot_id=bot_id, actor=SYSTEM).token
        return BenchBot(Owner(bot_id, bot.account_id), Script(bot_id, symbol), token)

    def check(self, hand: Hand) -> None:
        """Raise RuntimeError when the two sides left different rows: a comparison would mean nothing."""
        for api, sql in zip(self.api, self.hand, strict=True):
            left = [hand.connection.execute(LEFT_BEHIND, [bot.owner.bot_id]).fetchone() for bot in (api, sql)]
            if left[0] != left[1]:
                raise RuntimeError(f"The API and the hand left different rows: {left[0]} and {left[1]}")
