"""What bots tell: random orders with all that goes with them, every write under an id of its own."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

SYMBOLS = ("BTCUSDT", "ETHUSDT")
FEE = Decimal("0.00055")


@dataclass(frozen=True)
class Write:
    """One write: its kind in the terms of `POST /batch`, its id, and its body as it travels."""

    kind: str
    id: str
    body: dict[str, Any]


@dataclass
class Story:
    """What one writer tells, without end.

    Some orders are cancelled before they are whole, and some facts are told twice. reports_only: no order is asked
    for, so facts may come in any order, and some orders are filled beyond their quantity, which restricts the bot.
    """

    name: str
    seed: int
    begin: datetime
    reports_only: bool = False
    _dice: random.Random = field(init=False, repr=False)
    _late: list[Write] = field(init=False, default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(f"{self.seed} {self.name}")

    def rounds(self) -> Iterator[list[Write]]:
        """Yield the writes of one order after another; with reports_only, some come a round late."""
        moment, number = self.begin, 0
        while True:
            number += 1
            moment += timedelta(milliseconds=20 + self.seed % 7)
            writes = self.rest() + self._round(f"{self.name}-{number}", moment, is_request=number % 2 == 0)
            if self.reports_only and self._dice.random() < 0.4:
                self._dice.shuffle(writes)
                keep = self._dice.randrange(len(writes) // 2, len(writes) + 1)
                writes, self._late = writes[:keep], writes[keep:]
            if self._dice.random() < 0.1:
                writes.append(self._dice.choice(writes))
            yield writes

    def rest(self) -> list[Write]:
        """Return what is kept back, for the end of the story: an order never told leaves its facts parked for ever."""
        late, self._late = self._late, []
        return late

    def _round(self, key: str, moment: datetime, *, is_request: bool) -> list[Write]:
        dice = self._dice
        symbol, side = dice.choice(SYMBOLS), dice.choice(("buy", "sell"))
        price = Decimal(dice.randrange(900_000, 1_100_000)) / 100
        parts = [Decimal(dice.randrange(2, 5_000)) / 1000 for _ in range(dice.randrange(1, 4))]
        end = dice.choices(("filled", "cancelled", "overfilled"), (8, 2, 1 if self.reports_only else 0))[0]
        beyond = {"filled": Decimal(0), "cancelled": Decimal("0.5"), "overfilled": Decimal("-0.001")}[end]
        order = {"order_id": f"o-{key}", "symbol": symbol, "side": side, "order_type": "market"}
        order |= {"quantity": str(sum(parts) + beyond), "signal_id": f"s-{key}"}
        order["intent"] = "request" if is_request and not self.reports_only else "report"
        writes = [self._signal(key, symbol, price, moment), Write("order", f"o-{key}", order)]
        writes.append(self._news(key, "submitted", moment))
        for number, part in enumerate(parts):
            fill = {"fill_id": f"f-{key}-{number}", "order_id": f"o-{key}", "price": str(price + number)}
            fill |= {"quantity": str(part), "fee": str(part * price * FEE), "fee_currency": "USDT"}
            fill["executed_at"] = (moment + timedelta(milliseconds=number)).isoformat()
            writes.append(Write("fill", fill["fill_id"], fill))
        if end == "cancelled":
            writes.append(self._news(key, "cancelled", moment + timedelta(milliseconds=10)))
        return [*writes, self._balance(key, moment), self._event(key, moment)]

    def _signal(self, key: str, symbol: str, price: Decimal, moment: datetime) -> Write:
        signal = {"signal_id": f"s-{key}", "symbol": symbol, "signal_type": "long", "price": str(price)}
        return Write("signal", f"s-{key}", signal | {"strategy": "chaos", "timestamp": moment.isoformat()})

    def _news(self, key: str, status: str, moment: datetime) -> Write:
        news = {"order_id": f"o-{key}", "status": status, "at": moment.isoformat()}
        return Write("order_update", f"o-{key} {status}", news)

    def _balance(self, key: str, moment: datetime) -> Write:
        total = str(Decimal(self._dice.randrange(1, 10**9)) / 1000)
        balance = {"balance_id": f"b-{key}", "total_balance": total, "available_balance": total, "equity": total}
        balance["timestamp"] = moment.isoformat()
        if self._dice.random() < 0.2:
            balance |= {"snapshot_type": "deposit", "amount": "12.5"}
        return Write("balance", f"b-{key}", balance)

    def _event(self, key: str, moment: datetime) -> Write:
        event = {"event_id": f"e-{key}", "event_type": "CHAOS", "event_level": "INFO", "message": key}
        return Write("event", f"e-{key}", event | {"event_time": moment.isoformat()})
