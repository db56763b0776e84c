"""What has to be true of a ledger, computed here from what was told, not by the project's own code."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from decimal import Context, Decimal, localcontext
from typing import Any

from tests.e2e.running import Running, every_page
from tests.e2e.writers import Write
from tradingdb.services.processes import wait_until

EXACT = Context(prec=160)
ZERO = Decimal(0)
Figures = list[tuple[Any, ...]]
# How long Redis may say something old after it was away; a guard, as everywhere here.
REPAIR = 30.0

OPEN = "SELECT {} FROM trading.positions WHERE status IN ('open', 'partially_closed') ORDER BY position_id"


def stored_ids(instance: Running, table: str, column: str, bot_id: str) -> list[str]:
    """Every id a bot has in a table, as often as it stands there."""
    rows = instance.sql(f"SELECT {column} FROM {table} WHERE bot_id = %s ORDER BY 1", bot_id)
    return [row[0] for row in rows]


def assert_each_write_is_there_once(instance: Running, bot_id: str, told: Iterable[Write]) -> None:
    """Every write is stored exactly once, and nothing else is."""
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for write in told:
        ids[write.kind].append(write.id)
    tables = {
        "signal": ("trading.signals", "signal_id"),
        "order": ("trading.orders", "order_id"),
        "fill": ("trading.fills", "fill_id"),
        "balance": ("trading.account_balance", "balance_id"),
        "event": ("audit.system_events", "event_id"),
    }
    assert ids.keys() == tables.keys()
    for kind, (table, column) in tables.items():
        stored = stored_ids(instance, table, column, bot_id)
        if kind == "event":
            stored = [event_id for event_id in stored if event_id and event_id.startswith("e-")]
        assert sorted(stored) == sorted(ids[kind]), kind


def assert_money_adds_up(instance: Running, bot_id: str, told: Iterable[Write]) -> None:
    """Sizes, fees and P&L follow from the fills that were told, by sums that do not know in which order they came."""
    told = list(told)
    orders = {write.id: write.body for write in told if write.kind == "order"}
    sums: defaultdict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO, ZERO])
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    with localcontext(EXACT):
        for fill in (write.body for write in told if write.kind == "fill"):
            order = orders[fill["order_id"]]
            quantity, price = Decimal(fill["quantity"]), Decimal(fill["price"])
            signed = quantity if order["side"] == "buy" else -quantity
            size, cash, fees = sums[order["symbol"]]
            sums[order["symbol"]] = [size + signed, cash - signed * price, fees + Decimal(fill["fee"])]
            filled[fill["order_id"]] += quantity

        for symbol, (size, cash, fees) in sums.items():
            (stored,) = instance.sql(
                """SELECT coalesce(sum(CASE side WHEN 'long' THEN size ELSE -size END), 0),
                    sum(realized_pnl) - sum(CASE side WHEN 'long' THEN cost_basis ELSE -cost_basis END), sum(fees)
                FROM trading.positions WHERE bot_id = %s AND symbol = %s""",
                bot_id, symbol,
            )  # fmt: skip
            assert stored == (size, cash, fees), (bot_id, symbol)
    rows = instance.sql("SELECT order_id, filled_quantity, status FROM trading.orders WHERE bot_id = %s", bot_id)
    assert {row[0]: row[1:] for row in rows} == {key: (quantity, "filled") for key, quantity in filled.items()}


def assert_ledger_is_clean(instance: Running) -> None:
    """The project's own invariants hold, and nothing waits for a person."""
    report: dict[str, Any] = json.loads(instance.manage("verify_ledger", "--json"))
    assert report["ok"] is True
    assert {name: found for name, found in report["invariants"].items() if found["count"]} == {}
    for table in ("parked_facts WHERE applied_at IS NULL", "ingest_conflicts", "reconciliation_cases"):
        assert instance.sql(f"SELECT count(*) FROM trading.{table}") == [(0,)], table


def open_positions(instance: Running) -> Figures:
    """What PostgreSQL holds open: id, bot, symbol, side, size, average price, version."""
    columns = "position_id, bot_id, symbol, side, size, avg_entry_price, version"
    return instance.sql(OPEN.format(columns))


def _figures(rows: Iterable[dict[str, Any]]) -> Figures:
    """The same of positions as they travel."""
    return sorted(
        (
            row["position_id"], row["bot_id"], row["symbol"], row["side"], Decimal(row["size"]),
            Decimal(row["avg_entry_price"]), row["version"],
        )
        for row in rows
    )  # fmt: skip


def redis_positions(instance: Running, bot_ids: Collection[str] = ()) -> tuple[Figures, Figures]:
    """What Redis holds open: the rows of the live layer, and (bot, symbol, id, size) of the keys of seed 000.

    bot_ids: of these bots alone.
    """
    client = instance.redis()
    try:
        rows = [json.loads(text) for text in client.hvals("live:positions")]
        keys = []
        for key in client.scan_iter(match="bot:*:position:*"):
            _, bot_id, _, symbol = key.split(":")
            seed = json.loads(client.get(key) or "{}")
            keys.append((bot_id, symbol, seed["position_id"], Decimal(seed["size"])))
    finally:
        client.close()
    if bot_ids:
        rows = [row for row in rows if row["bot_id"] in bot_ids]
        keys = [key for key in keys if key[0] in bot_ids]
    return _figures(rows), sorted(keys)


def assert_all_show_the_same(instance: Running, staff_token: str) -> None:
    """The open positions of the API, the live snapshot and Redis are those of PostgreSQL; nobody may be writing."""
    stored = open_positions(instance)
    with instance.api(staff_token) as api:
        live = api.get("/live").json()
        listed = every_page(api, "/positions", status="open")

    assert live["sources"] == {"postgres": True, "redis": True, "celery": True, "influx": False}
    assert _figures(live["positions"]) == sorted(stored)
    assert live["totals"]["open_positions"] == len(stored)
    assert _figures(listed) == sorted(stored)
    assert_redis_agrees(instance)


def assert_redis_agrees(instance: Running, bot_ids: Collection[str] = ()) -> None:
    """Redis comes to hold exactly the open positions of PostgreSQL, however long it was away."""
    stored = sorted(row for row in open_positions(instance) if not bot_ids or row[1] in bot_ids)
    wanted = stored, sorted((row[1], row[2], row[0], row[4]) for row in stored)
    wait_until(lambda: redis_positions(instance, bot_ids) == wanted, REPAIR, pause=0.5)
    rows, keys = redis_positions(instance, bot_ids)
    assert rows == wanted[0]
    assert keys == wanted[1]
