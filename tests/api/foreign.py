"""Bots with one of everything, all of it marked, and every way in which a call can name what is another bot's."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from audit.models import RiskEvent
from audit.services.actions import SYSTEM
from bots.models import Bot, BotToken, ControlState, ExchangeAccount, Position, ReconciliationCase
from bots.services.control import control_set
from bots.services.tokens import token_create
from config_app.services.configurations import configuration_activate
from tests.api.doors import Door
from tests.factories import BotFactory

THEN = "2026-11-19T09:30:00Z"
LATER = "2026-11-19T10:30:00Z"


@dataclass(kw_only=True)
class Names:
    """How a bot and its objects are called. Every name and text has the mark in it, every amount the figure."""

    mark: str
    figure: str = "1"
    position_id: str = "pos_000000000000000000000000"
    prefix: str = "AAAAAAAAAAAA"
    case_id: int = 999_999
    event_id: int = 999_999
    halt_id: int = 999_999
    token: str = field(default="", repr=False)

    def __getattr__(self, name: str) -> str:
        """Any other id: names.order_id is `mark-order_id`."""
        if name.startswith("__"):
            raise AttributeError(name)
        return f"{self.mark}-{name}"

    @property
    def bot_id(self) -> str:
        return f"bot-{self.mark}"

    @property
    def symbol(self) -> str:
        return f"{self.mark.upper()}USDT"

    def order(self, **fields: Any) -> dict[str, Any]:
        body = {"order_id": self.order_id, "symbol": self.symbol, "side": "buy", "order_type": "market"}
        return {**body, "quantity": "2", "intent": "report", "created_at": THEN, **fields}

    def fill(self, **fields: Any) -> dict[str, Any]:
        body = {"fill_id": self.fill_id, "order_id": self.order_id, "price": self.figure, "quantity": "1"}
        return {**body, "executed_at": THEN, **fields}

    def signal(self, **fields: Any) -> dict[str, Any]:
        body = {"signal_id": self.signal_id, "symbol": self.symbol, "signal_type": "long", "price": self.figure}
        return {**body, "strategy": self.mark, "timestamp": THEN, **fields}

    def balance(self, **fields: Any) -> dict[str, Any]:
        amounts = dict.fromkeys(("total_balance", "available_balance", "equity"), self.figure)
        return {"balance_id": self.balance_id, **amounts, "timestamp": THEN, **fields}

    def event(self, **fields: Any) -> dict[str, Any]:
        body = {"event_id": self.message_id, "event_type": "INFO", "event_level": "INFO", "message": self.mark}
        return {**body, "event_time": THEN, **fields}

    def trade(self, **fields: Any) -> dict[str, Any]:
        body = {"trade_id": self.trade_id, "symbol": self.symbol, "side": "long", "quantity": "1"}
        return {**body, "entry_price": self.figure, "entry_time": THEN, **fields}


def settle(door: Door, names: Names, account: ExchangeAccount | None = None) -> Bot:
    """Register the bot of these names and let it have one of everything, told by itself."""
    extra = {"account": account} if account else {}
    bot: Bot = BotFactory(
        bot_id=names.bot_id, bot_name=names.mark, description=names.mark, max_positions=100, leverage_limit=100, **extra
    )
    row, names.token = token_create(bot_id=bot.bot_id, actor=SYSTEM)
    tell = {"token": names.token, "content": b""}

    def post(path: str, body: Any, status: int) -> None:
        reply = door("POST", path, tell["token"], json.dumps(body).encode())
        assert reply.status == status, reply

    post("/heartbeat", {"equity": names.figure}, 200)
    post("/signals", names.signal(), 201)
    post("/orders", names.order(client_order_id=names.client_order_id, exchange_order_id=names.exchange_order_id), 201)
    post("/fills", names.fill(exchange_trade_id=names.exchange_trade_id), 201)
    post("/fills", names.fill(price="3"), 409)
    post("/fills", names.fill(fill_id=names.over_id, quantity="9"), 201)
    post("/fills", names.fill(fill_id=names.parked_id, order_id=names.later_id), 202)
    post("/orders", names.order(order_id=names.refused_id, intent="request", leverage="500"), 409)
    post("/balances", names.balance(), 201)
    post("/events", {"events": [names.event()]}, 201)
    post("/trades", names.trade(), 201)
    control_set(scope="bot", target=bot.bot_id, state="HALTED", reason=names.mark, actor=SYSTEM)
    value = {"secret": names.mark, "size": names.figure}
    configuration_activate(bot_id=bot.bot_id, config_key=names.mark, config_type=None, value=value, actor=SYSTEM)
    names.prefix = row.prefix
    names.position_id = Position.objects.filter(bot=bot).values_list("position_id", flat=True)[0]
    names.case_id = ReconciliationCase.objects.filter(bot=bot).values_list("pk", flat=True)[0]
    names.event_id = RiskEvent.objects.filter(bot_id=bot.bot_id).values_list("pk", flat=True)[0]
    names.halt_id = ControlState.objects.get(scope="bot", target=bot.bot_id).server_seq
    assert BotToken.objects.filter(bot=bot).count() == 1
    return bot


class Ask(NamedTuple):
    """One request that names something."""

    path: str
    body: Any = None


Way = Callable[[Names, Names], list[Ask]]


def asks(path: str, *bodies: Any) -> list[Ask]:
    return [Ask(path, body) for body in bodies]


def listed(path: str, *queries: str) -> Way:
    """A list, narrowed by what is another's."""

    def way(me: Names, other: Names) -> list[Ask]:
        own = [f"symbol={other.symbol}", f"symbol={other.symbol}&status=open", f"bot_id={other.bot_id}", "limit=1"]
        return [Ask(f"{path}?{query}") for query in (*own, *(query.format(other=other) for query in queries))] + [
            Ask(path)
        ]

    return way


def plain(path: str) -> Way:
    """A call of staff, by the names of another's objects."""
    return lambda me, other: [Ask(path.format(other=other)), Ask(path.format(other=other) + f"?bot_id={other.bot_id}")]


def orders(path: str) -> Way:
    def way(me: Names, other: Names) -> list[Ask]:
        new = me.order(order_id="new", symbol="BTCUSDT")
        return asks(
            path,
            other.order(),
            new | {"symbol": other.symbol, "reduce_only": True},
            new | {"client_order_id": other.client_order_id},
            new | {"exchange_order_id": other.exchange_order_id},
            new | {"signal_id": other.signal_id},
            new | {"bot_id": other.bot_id},
        ) + asks(f"{path}?bot_id={other.bot_id}", new)

    return way


def fills(me: Names, other: Names) -> list[Ask]:
    new = me.fill(fill_id="new")
    return asks(
        "/fills",
        other.fill(),
        new | {"fill_id": other.fill_id},
        new | {"order_id": other.order_id},
        new | {"order_id": other.later_id},
        new | {"exchange_trade_id": other.exchange_trade_id},
        new | {"order_id": other.order_id, "order": other.order()},
        new | {"bot_id": other.bot_id},
    ) + asks(f"/fills?bot_id={other.bot_id}", new)


def batch(me: Names, other: Names) -> list[Ask]:
    operations = [
        ("signal", other.signal()), ("order", other.order()), ("fill", other.fill(order_id=other.later_id)),
        ("balance", other.balance()), ("event", other.event(order_id=other.order_id)),
        ("order_update", {"order_id": other.order_id, "status": "cancelled"}),
        ("order_update", {"order_id": other.later_id, "status": "cancelled"}),
    ]  # fmt: skip
    each = [{"operations": [{"op": op, "data": data}]} for op, data in operations]
    return asks("/batch", *each, {"operations": [{"op": op, "data": data} for op, data in operations]})


WAYS: dict[str, Way] = {
    "GET /me": plain("/me"),
    "GET /config": plain("/config"),
    "GET /permit": plain("/permit"),
    "GET /candles": lambda me, other: [Ask(f"/candles?exchange=bybit&symbol={other.symbol}&interval=5m")],
    "GET /signals": listed("/signals", "side=long", "status=pending"),
    "GET /orders": listed("/orders", "side=buy", "status=filled"),
    "GET /fills": listed("/fills", "side=buy"),
    "GET /positions": listed("/positions", "side=long", "status=closed"),
    "GET /trades": listed("/trades", "side=long", "status=closed"),
    "GET /balances": listed("/balances", "start=2026-11-19T00:00:00Z"),
    "POST /heartbeat": lambda me, other: asks("/heartbeat", {"acknowledged_halt": other.halt_id}),
    "POST /signals": lambda me, other: asks("/signals", other.signal(), me.signal(signal_id=other.signal_id)),
    "POST /orders": orders("/orders"),
    "POST /risk/check": orders("/risk/check"),
    "PATCH /orders/{order_id}": lambda me, other: [
        Ask(f"/orders/{name}{query}", {"status": "cancelled"})
        for name in (other.order_id, other.later_id, other.refused_id)
        for query in ("", f"?bot_id={other.bot_id}")
    ],
    "POST /fills": fills,
    "POST /balances": lambda me, other: asks("/balances", other.balance(), me.balance(balance_id=other.balance_id)),
    "POST /events": lambda me, other: asks(
        "/events",
        {"events": [other.event()]},
        {"events": [me.event(event_id="new", order_id=other.order_id, trade_id=other.trade_id, symbol=other.symbol)]},
    ),
    "POST /batch": batch,
    "POST /prices": lambda me, other: asks(
        "/prices", {"prices": [{"symbol": other.symbol, "price": "5", "timestamp": LATER}]}
    ),
    "POST /candles": lambda me, other: asks(
        "/candles", {"exchange": "bybit", "symbol": other.symbol, "interval": "5m", "candles": [[THEN, 1, 1, 1, 1, 1]]}
    ),
    "POST /trades": lambda me, other: asks(
        "/trades", other.trade(), me.trade(trade_id="new", exchange_order_id=other.exchange_order_id)
    ),
    "POST /positions/reported": lambda me, other: asks(
        "/positions/reported",
        {"positions": [{"symbol": other.symbol, "side": "long", "size": "1"}], "as_of": LATER},
        {"positions": [{"symbol": other.symbol, "side": "long", "size": "0"}], "as_of": LATER},
        {"positions": [], "as_of": LATER},
    ),
    "PATCH /positions/{position_id}": lambda me, other: [
        Ask(f"/positions/{other.position_id}", {"stop_loss": "1"}),
        Ask(f"/positions/{other.position_id}?bot_id={other.bot_id}", {"stop_loss": "1"}),
    ],
    # What is for staff says no to every bot, whatever it names.
    "GET /bots": plain("/bots"),
    "POST /bots": lambda me, other: asks("/bots", {"bot_id": other.bot_id}, {"account_id": other.account_id}),
    "GET /bots/{bot_id}": plain("/bots/{other.bot_id}"),
    "PATCH /bots/{bot_id}": lambda me, other: [Ask(f"/bots/{other.bot_id}", {"status": "paused"})],
    "POST /bots/{bot_id}/tokens": lambda me, other: [Ask(f"/bots/{other.bot_id}/tokens", {})],
    "DELETE /bots/{bot_id}/tokens/{prefix}": plain("/bots/{other.bot_id}/tokens/{other.prefix}"),
    "POST /control": lambda me, other: asks(
        "/control", {"scope": "bot", "target": other.bot_id, "state": "ACTIVE", "reason": "mine"}
    ),
    "GET /control": plain("/control"),
    "GET /control/changes": plain("/control/changes"),
    "POST /auth/confirm": lambda me, other: asks("/auth/confirm", {"password": "x"}),
    "GET /audit/verify": plain("/audit/verify"),
    "GET /invariants": plain("/invariants"),
    "POST /invariants/run": plain("/invariants/run"),
    "GET /live": plain("/live"),
    "GET /metrics/daily": plain("/metrics/daily"),
    "GET /portfolio/current": plain("/portfolio/current"),
    "GET /portfolio/snapshots": plain("/portfolio/snapshots"),
    "GET /risk/events": plain("/risk/events"),
    "POST /risk/events/{event_id}/resolve": lambda me, other: asks(
        f"/risk/events/{other.event_id}/resolve", {"notes": "x"}
    ),
    "GET /reconciliation/cases": plain("/reconciliation/cases"),
    "PATCH /reconciliation/cases/{case_id}": lambda me, other: asks(
        f"/reconciliation/cases/{other.case_id}", {"cause": "x"}
    ),
    "GET /conflicts": plain("/conflicts"),
    "GET /parked": plain("/parked"),
    "GET /audit/actions": plain("/audit/actions"),
}
# The scope that a bot's token needs, for the calls that are for bots.
SCOPES = {
    **dict.fromkeys([call for call in WAYS if call.startswith("GET")][:10], "read"),
    **dict.fromkeys(
        ("POST /heartbeat", "POST /signals", "POST /orders", "POST /risk/check", "PATCH /orders/{order_id}",
         "POST /fills", "POST /balances", "POST /events", "POST /batch", "POST /trades", "POST /positions/reported",
         "PATCH /positions/{position_id}"),
        "ledger:write",
    ),
    **dict.fromkeys(("POST /prices", "POST /candles"), "market:write"),
}  # fmt: skip
