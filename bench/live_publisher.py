"""Publishes stamped changes at a steady rate: python -m bench.live_publisher '{"kind": "ours", …}'."""

import json
import os
import sys
import time
from typing import Any, TypedDict


class Plan(TypedDict):
    """What to publish: `rows` are the wire rows of open positions, which change in turn."""

    kind: str
    rows: list[dict[str, Any]]
    first_version: int
    changes: int
    per_second: int
    is_price: bool


def main(plan: Plan) -> None:
    publish = {"ours": ours, "bare": bare, "group": group}[plan["kind"]](plan)
    begin = time.monotonic() + 0.1
    for number in range(plan["changes"]):
        wait = begin + number / plan["per_second"] - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        publish(number, time.monotonic_ns())


def changed(plan: Plan, number: int, stamp: int) -> dict[str, Any]:
    """Return the row that changes, stamped, in a version that was never seen."""
    row = plan["rows"][number % len(plan["rows"])]
    return {**row, "version": plan["first_version"] + number, "strategy": str(stamp)}


def ours(plan: Plan) -> Any:
    import django

    django.setup()
    from bots.live.publish import LiveUpdate, publish

    def send(number: int, stamp: int) -> None:
        data = changed(plan, number, stamp)
        publish([LiveUpdate(kind="position", bot_id=data["bot_id"], symbol=data["symbol"], data=data)])

    return send


def message(plan: Plan) -> str:
    """Return the text a browser gets, as long as ours, with `@` where the stamp belongs: the others send it as it is."""
    from bots.live import messages
    from bots.live.rows import LivePosition

    position = LivePosition.from_wire(plan["rows"][0] | {"version": plan["first_version"], "strategy": "@"})
    sums = {"open_positions": 20, "exposure": "2000", "unrealized_pnl": "0", "realized_today": "0", "equity": "0"}
    group = {"deployment_mode": "demo", "currency": "USDT", "bots": 1, "bots_without_equity": 0, "unmarked": 0, **sums}
    totals = {"open_positions": 20, "bots": 1, "by_currency": {"demo/USDT": group}}
    return messages.delta(seq=1_000, positions=[position.text], closed=[], bots=[], prices={}, totals=totals)


def bare(plan: Plan) -> Any:
    import django
    import redis

    django.setup()
    from bench.live_servers import CHANNEL

    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    text = message(plan)
    return lambda number, stamp: client.publish(CHANNEL, text.replace("@", str(stamp)))


def group(plan: Plan) -> Any:
    import asyncio

    import django

    django.setup()
    from channels.layers import get_channel_layer

    from bench.live_servers import GROUP

    layer = get_channel_layer()
    loop = asyncio.new_event_loop()
    text = message(plan)

    def send(number: int, stamp: int) -> None:
        event = {"type": "changed", "text": text.replace("@", str(stamp))}
        loop.run_until_complete(layer.group_send(GROUP, event))

    return send


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
