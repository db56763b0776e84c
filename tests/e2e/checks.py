"""What has to be true of a ledger, computed here from what was told, not by the project's own code."""

import json
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

from tests.e2e.running import Running, every_page
from tradingdb.services.processes import wait_until

Figures = list[tuple[Any, ...]]
# How long Redis may say something old after it was away; a guard, as everywhere here.
REPAIR = 30.0

OPEN = "SELECT {} FROM trading.positions WHERE status IN ('open', 'partially_closed') ORDER BY position_id"


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
