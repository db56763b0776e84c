"""Publishes stamped changes at a steady rate: python -m bench.live_publisher, with the plan as JSON on stdin."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypedDict


class Plan(TypedDict):
    """What to publish: positions that change in turn, or prices that revalue all of them at once (`is_price`)."""

    kind: str
    rows: list[dict[str, Any]]
    first_version: int
    changes: int
    per_second: int
    is_price: bool


Publish = Callable[[int, int], Any]


def main(plan: Plan) -> None:
    import django

    django.setup()
    publish = {"ours": ours, "bare": bare, "group": group}[plan["kind"]](plan)
    begin = time.monotonic() + 0.1
    for number in range(plan["changes"]):
        wait = begin + number / plan["per_second"] - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        publish(number, time.monotonic_ns())


def ours(plan: Plan) -> Publish:
    """Publish through the project: state in Redis and message in one call."""
    from bots.live.publish import LiveUpdate, publish

    def change(number: int, stamp: int) -> None:
        row = plan["rows"][number % len(plan["rows"])]
        data = {**row, "version": plan["first_version"] + number, "strategy": str(stamp)}
        publish([LiveUpdate(kind="position", bot_id=data["bot_id"], symbol=data["symbol"], data=data)])

    def tick(number: int, stamp: int) -> None:
        symbol = plan["rows"][0]["symbol"]
        data = {"symbol": symbol, "price": str(stamp), "timestamp": time.strftime("%FT%TZ", time.gmtime(stamp / 1e9))}
        # Every price must be newer than the one before, though they come faster than seconds pass.
        data["timestamp"] = data["timestamp"].replace("Z", f".{stamp % 10**9:09}"[:7] + "Z")
        publish([LiveUpdate(kind="price", bot_id="", symbol=symbol, data=data)])

    return tick if plan["is_price"] else change


def message(plan: Plan) -> str:
    """Return the text a browser gets, as long as ours, with `@` where the stamp belongs; the others send it as is."""
    from bots.live import messages
    from bots.live.rows import LivePosition

    rows = plan["rows"] if plan["is_price"] else [plan["rows"][0] | {"strategy": "@"}]
    held = [LivePosition.from_wire(row | {"version": plan["first_version"]}) for row in rows]
    prices: dict[str, str] = {}
    if plan["is_price"]:
        # As many digits as a stamp of ours has.
        for position in held:
            position.value_at(position.size.from_float(123456789012345.0), "2026-11-20T10:00:00.123456Z")
        prices = {rows[0]["symbol"]: '{"price":"@","timestamp":"2026-11-20T10:00:00.123456Z"}'}
    sums = {"open_positions": 20, "exposure": "2000", "unrealized_pnl": "0", "realized_today": "0", "equity": "0"}
    currency = {
        "deployment_mode": "demo",
        "currency": "USDT",
        "bots": 1,
        "bots_without_equity": 0,
        "unmarked": 0,
        **sums,
    }
    totals = {"open_positions": 20, "bots": 1, "by_currency": {"demo/USDT": currency}}
    texts = [position.text for position in held]
    return messages.delta(seq=1_000, positions=texts, closed=[], bots=[], prices=prices, totals=totals)


def bare(plan: Plan) -> Publish:
    """Publish the finished text, with no state and no guard."""
    import redis

    from bench.live_servers import CHANNEL

    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    text = message(plan)
    return lambda number, stamp: client.publish(CHANNEL, text.replace("@", str(stamp)))


def group(plan: Plan) -> Publish:
    """Send the message as an event to a Channels group."""
    from channels.layers import get_channel_layer

    from bench.live_servers import GROUP

    layer = get_channel_layer()
    loop = asyncio.new_event_loop()
    text = message(plan)

    def send(number: int, stamp: int) -> None:
        event = {"type": "changed", "data": json.loads(text.replace("@", str(stamp)))}
        loop.run_until_complete(layer.group_send(GROUP, event))

    return send


if __name__ == "__main__":
    main(json.load(sys.stdin))
