"""Bots that ask for orders all the time, and tell facts all the time, whatever is halted."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tradingdb_client import Client, ClientError, NoPermit, Pace, RateLimited, RiskRejected, Unavailable

TIMEOUT = 2.0
HEARTBEAT_SECONDS = 1.0
PACE = Pace(first=0.05, longest=0.5)
SYMBOL = "BTCUSDT"
SHARE = "0.001"


class Worker(threading.Thread):
    """One part of a bot; what ends it against its will is kept."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.failure: BaseException | None = None
        self.enough = threading.Event()

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.failure = error

    def work(self) -> None:
        raise NotImplementedError


class Asker(Worker):
    """Asks for an order every `pause` seconds, through the client: it holds itself to its permit.

    counts: what became of them. accepted: the ids of those the server acknowledged. heard: the number of each halt and
    the monotonic moment at which the bot first heard of it.
    """

    def __init__(self, url: str, bot: dict[str, str], pause: float) -> None:
        super().__init__(f"{bot['bot_id']} asks")
        self.bot_id, self.pause = bot["bot_id"], pause
        self.client = Client(url, bot["token"], timeout=TIMEOUT, retries=0, pace=PACE)
        self.counts: Counter[str] = Counter()
        self.accepted: list[str] = []
        self.heard: dict[int, float] = {}

    def work(self) -> None:
        beat_at, begun = 0.0, f"{time.time_ns():x}"
        while not self.enough.is_set():
            began = time.monotonic()
            if began >= beat_at:
                beat_at = began + HEARTBEAT_SECONDS
                self._beat()
            self._ask(f"{begun}-{sum(self.counts.values())}")
            self.enough.wait(max(0.0, self.pause - (time.monotonic() - began)))
        self.client.close()

    def _beat(self) -> None:
        try:
            halts = self.client.heartbeat(acknowledged_halt=max(self.heard, default=None))["halts"]
        except (Unavailable, RateLimited):
            return
        for halt in halts:
            self.heard.setdefault(halt["id"], time.monotonic())

    def _ask(self, order_id: str) -> None:
        try:
            self.client.order(
                order_id=order_id, symbol=SYMBOL, side="buy", order_type="market", quantity=SHARE, intent="request"
            )
        except NoPermit as error:
            self.counts["withheld"] += 1
            if error.was_admitted:
                self.accepted.append(order_id)
        except RiskRejected:
            self.counts["refused"] += 1
        except (Unavailable, RateLimited):
            self.counts["unanswered"] += 1
        else:
            self.counts["accepted"] += 1
            self.accepted.append(order_id)


class Stubborn(Worker):
    """Asks without a permit, as a bot that knows no better: only the server stands in its way."""

    def __init__(self, url: str, bot: dict[str, str], pause: float) -> None:
        super().__init__(f"{bot['bot_id']} insists")
        self.url, self.token, self.pause = url, bot["token"], pause
        self.counts: Counter[int] = Counter()

    def work(self) -> None:
        number, begun = 0, f"s{time.time_ns():x}"
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=TIMEOUT, trust_env=False) as api:
            while not self.enough.is_set():
                number += 1
                body = {"order_id": f"{begun}-{number}", "symbol": SYMBOL, "side": "buy", "order_type": "market"}
                try:
                    self.counts[api.post("/orders", json=body | {"quantity": SHARE}).status_code] += 1
                except httpx.HTTPError:
                    self.counts[0] += 1
                self.enough.wait(self.pause)


class Teller(Worker):
    """Tells a fill every `pause` seconds of one order that rests at the exchange; a spool keeps them in an outage."""

    def __init__(self, url: str, bot: dict[str, str], pause: float, spool: Path) -> None:
        super().__init__(f"{bot['bot_id']} tells")
        self.bot_id, self.pause = bot["bot_id"], pause
        self.client = Client(url, bot["token"], timeout=TIMEOUT, retries=0, pace=PACE, spool=spool)
        self.begun = f"{bot['bot_id']}-{time.time_ns():x}"
        self.told: list[str] = []
        self.refused: list[str] = []

    def work(self) -> None:
        resting: dict[str, Any] = {"order_id": f"{self.begun}-rests", "symbol": SYMBOL, "side": "buy"}
        self._tell(
            lambda: self.client.order(
                **resting, order_type="limit", price="100", quantity="1000000", intent="report", status="submitted",
                created_at=datetime.now(UTC),
            )
        )  # fmt: skip
        while not self.enough.is_set():
            fill_id = f"{self.begun}-f{len(self.told)}"
            self.told.append(fill_id)
            self._tell(
                lambda fill_id=fill_id: self.client.fill(
                    fill_id=fill_id, order_id=resting["order_id"], price="100", quantity=SHARE,
                    executed_at=datetime.now(UTC),
                )
            )  # fmt: skip
            self.enough.wait(self.pause)
        deadline = time.monotonic() + 60
        while len(self.client.spool or ()) and time.monotonic() < deadline:
            try:
                self.client.flush()
            except (Unavailable, RateLimited):
                time.sleep(0.2)
        self.client.close()

    def _tell(self, call: Any) -> None:
        try:
            call()
        except ClientError as error:
            self.refused.append(str(error))
