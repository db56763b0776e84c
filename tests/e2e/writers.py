"""Bots that never stop writing: each tells a history it knows, every write under its own id until acknowledged."""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.running import Running
from tradingdb_client import Client, Pace, Unavailable

SYMBOLS = ("BTCUSDT", "ETHUSDT")
# A bot's pause between two writes: the point is that they go on, not that they are many.
BREATH = 0.004


@dataclass(frozen=True)
class Write:
    """One write of a bot: its kind in the terms of `POST /batch`, its id, and its body."""

    kind: str
    id: str
    body: dict[str, Any]


@dataclass
class Story:
    """What one writer tells: random orders with one to three fills, and all that goes with them."""

    name: str
    seed: int
    told: list[Write] = field(default_factory=list)

    def rounds(self) -> Iterator[list[Write]]:
        """Yield the writes of one order after another, without end."""
        dice = random.Random(self.seed)
        moment = datetime.now(UTC) - timedelta(hours=1)
        number = 0
        while True:
            number += 1
            moment += timedelta(milliseconds=20 + self.seed)
            yield self._round(dice, f"{self.name}-{number}", moment, is_request=number % 2 == 0)

    def _round(self, dice: random.Random, key: str, moment: datetime, *, is_request: bool) -> list[Write]:
        symbol, side = dice.choice(SYMBOLS), dice.choice(("buy", "sell"))
        price = Decimal(dice.randrange(900_000, 1_100_000)) / 100
        parts = [Decimal(dice.randrange(1, 5_000)) / 1000 for _ in range(dice.randrange(1, 4))]
        order = {"order_id": f"o-{key}", "symbol": symbol, "side": side, "order_type": "market"}
        order |= {"quantity": str(sum(parts)), "intent": "request" if is_request else "report"}
        at = moment.isoformat()
        total = Decimal(dice.randrange(1, 10**9)) / 1000
        writes = [
            Write("signal", f"s-{key}", {"signal_id": f"s-{key}", "symbol": symbol, "signal_type": "long",
                                         "price": str(price), "strategy": "chaos", "timestamp": at}),
            Write("order", f"o-{key}", order),
        ]  # fmt: skip
        for number, part in enumerate(parts):
            fill = {"fill_id": f"f-{key}-{number}", "order_id": f"o-{key}", "price": str(price + number)}
            fill |= {"quantity": str(part), "fee": str(part * price * Decimal("0.00055")), "fee_currency": "USDT"}
            fill["executed_at"] = (moment + timedelta(milliseconds=number)).isoformat()
            writes.append(Write("fill", fill["fill_id"], fill))
        balance = {"balance_id": f"b-{key}", "total_balance": str(total), "available_balance": str(total)}
        writes.append(Write("balance", f"b-{key}", balance | {"equity": str(total), "timestamp": at}))
        event = {"event_id": f"e-{key}", "event_type": "CHAOS", "event_level": "INFO", "message": key}
        writes.append(Write("event", f"e-{key}", event | {"event_time": at}))
        return writes


class Writer(threading.Thread, ABC):
    """Tells its story until asked to stop. `acknowledged` counts answers of 2xx, `unanswered` tries without one."""

    def __init__(self, instance: Running, bot: dict[str, str], *, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.instance = instance
        self.bot_id, self.token = bot["bot_id"], bot["token"]
        self.story = Story(name, seed)
        self.acknowledged = self.unanswered = 0
        self.failure: BaseException | None = None
        self._enough = threading.Event()

    def finish(self) -> None:
        """Ask it to end after what it has begun, and wait until all of that is acknowledged."""
        self._enough.set()
        self.join(timeout=120)
        assert self.failure is None, f"{self.name}: {self.failure!r}"
        assert not self.is_alive(), f"{self.name} is not done"

    def run(self) -> None:
        try:
            self.tell()
        except BaseException as error:  # handed to the test, which raises it
            self.failure = error

    @abstractmethod
    def tell(self) -> None:
        """Tell the story until it is enough."""

    def writes(self) -> Iterator[Write]:
        """Yield what is to be told, whole rounds only, and remember it."""
        for one_round in self.story.rounds():
            for write in one_round:
                self.story.told.append(write)
                yield write
                time.sleep(BREATH)
            if self._enough.is_set():
                return


class RawWriter(Writer):
    """A bot on bare HTTP: a write counts when it was answered with 2xx, and is sent again until then."""

    PATHS = {"signal": "/signals", "order": "/orders", "fill": "/fills", "balance": "/balances", "event": "/events"}

    def tell(self) -> None:
        with self.instance.api(self.token) as api:
            for write in self.writes():
                self._deliver(api, write)

    def _deliver(self, api: httpx.Client, write: Write) -> None:
        body = {"events": [write.body]} if write.kind == "event" else write.body
        while True:
            with suppress(httpx.TransportError):
                answer = api.post(self.PATHS[write.kind], json=body)
                if answer.is_success:
                    self.acknowledged += 1
                    return
                # Only the server's own trouble may keep a write from being taken.
                assert answer.status_code >= 500 or answer.status_code == 429, f"{write.id}: {answer.text}"
            self.unanswered += 1
            time.sleep(0.05)


class ClientWriter(Writer):
    """A bot on `tradingdb_client` with a spool: facts wait on its disk, an order it asks for is asked again."""

    def __init__(self, instance: Running, bot: dict[str, str], *, name: str, seed: int, spool: Path) -> None:
        super().__init__(instance, bot, name=name, seed=seed)
        self.spool = spool

    def tell(self) -> None:
        pace = Pace(first=0.05, longest=0.5)
        url = self.instance.base_url
        with Client(url, self.token, timeout=5, retries=1, spool=self.spool, pace=pace) as client:
            calls = {"signal": client.signal, "fill": client.fill, "balance": client.balance}
            calls |= {"event": lambda **event: client.events([event]), "order": client.order}  # type: ignore[dict-item]
            for write in self.writes():
                self._deliver(calls[write.kind], write)
            while True:
                with suppress(Unavailable):
                    assert client.flush().rejected == 0
                    return
                time.sleep(0.05)

    def _deliver(self, call: Any, write: Write) -> None:
        while True:
            with suppress(Unavailable):
                if call(**write.body).spooled:
                    self.unanswered += 1
                self.acknowledged += 1
                return
            self.unanswered += 1
            time.sleep(0.05)
