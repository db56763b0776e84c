"""Where made-up requests come to: a bot with a row of each kind, callers of each kind, and bodies that name what is.

A body that is made up from a description alone is seldom taken: its ids are new, its rules between fields broken. So a
part of what was made up is put onto a body that is good, and what is sent comes again, as it was or with other content.
"""

import random
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from audit.models import RiskEvent
from audit.services.actions import SYSTEM
from bots.api.schemas import TradeIn
from bots.choices import BotStatus, ControlLevel
from bots.models import Bot, BotToken, ControlState, Position, ReconciliationCase
from bots.services.tokens import token_create
from bots.services.trades import trade_record
from tests.api.bad_inputs import CANDLE, CSV_HEADER, OPERATIONS, ORDER, THEN, TRADE, WRITES, changed
from tests.api.conftest import bot_caller, staff_caller
from tests.api.described import edges
from tests.bots.ledger_tools import START, add_fill, at, place
from tests.factories import AccountBalanceFactory, BotFactory, UserFactory
from tests.live.live_browser import session_of

PASSWORD = "correct-horse-battery"
ROOM = "1000000000"
# The field by which a fact is told from others, of each call that takes one.
IDS = {
    "POST /signals": "signal_id", "POST /orders": "order_id", "POST /fills": "fill_id", "POST /balances": "balance_id",
    "POST /trades": "trade_id", "POST /events": "event_id", "POST /bots": "bot_id",
}  # fmt: skip
OPERATION_IDS = {
    "signal": "signal_id",
    "order": "order_id",
    "fill": "fill_id",
    "balance": "balance_id",
    "event": "event_id",
}
# What parameters of the query may name, by the caller where that matters.
NAMED = {"symbol": "BTCUSDT", "exchange": "bybit", "interval": "5m", "definition": "canonical"}
REQUIRED = {"exchange", "symbol", "interval"}
TARGETS = {"all": None, "bot": "spare", "symbol": "HALTUSDT", "exchange": "elsewhere"}


class World:
    """A bot with a row of each kind, another one that people may close, and who asks."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.described = described
        self.bot: Bot = BotFactory(bot_id="known", max_positions=1000, leverage_limit=5)
        self.spare: Bot = BotFactory(bot_id="spare")
        place(self.bot, "o1", "buy", ROOM, created_at=at(0))
        add_fill(self.bot, "f1", "o1", "100", "1", 1)
        trade = TradeIn.model_validate(TRADE | {"exit_price": "101", "exit_time": THEN})
        trade_record(bot_id=self.bot.bot_id, trade=trade.to_domain())
        AccountBalanceFactory(bot=self.bot)
        self.numbers = 0
        self.sent: dict[str, Any] = {}
        self.cursors: dict[str, str] = {}
        self.callers = self._callers()
        self.begin()

    def _callers(self) -> dict[str, dict[str, Any]]:
        person = UserFactory(role="admin", password=PASSWORD)
        session = {"sessionid": session_of(person), "csrftoken": "a" * 32}
        return {
            "bot": {"headers": bot_caller(self.bot).headers},
            "staff": {"headers": staff_caller("admin").headers},
            "person": {"headers": {"X-CSRFToken": "a" * 32}, "cookies": session},
            "viewer": {"headers": staff_caller("viewer").headers},
            "nobody": {},
        }

    def begin(self) -> None:
        """Let the bot trade, whatever people did to it, and give people something to do."""
        ControlState.objects.update(state=ControlLevel.ACTIVE)
        Bot.objects.filter(pk__in=(self.bot.pk, self.spare.pk)).update(status=BotStatus.ACTIVE)
        self.prefixes = list(BotToken.objects.filter(bot=self.spare, revoked_at=None).values_list("prefix", flat=True))
        if not self.prefixes:
            self.prefixes = [token_create(bot_id="spare", actor=SYSTEM).row.prefix]
        case, _ = ReconciliationCase.objects.get_or_create(
            kind="unattributed", bot=self.bot, symbol="BTCUSDT", status="open", defaults={"opened_at": START}
        )
        risk, _ = RiskEvent.objects.get_or_create(
            bot_id="known", risk_type="position_limit", resolved=False,
            defaults={"current_value": 4, "limit_value": 3, "action_taken": "new_trades_blocked"},
        )  # fmt: skip
        self.ids = {
            "bot_id": "spare",
            "order_id": "o1",
            "position_id": Position.objects.filter(bot=self.bot).values_list("position_id", flat=True)[0],
            "case_id": case.pk,
            "event_id": risk.pk,
        }

    def aim(self, case: Any, who: str, choose: random.Random) -> None:
        """Put what exists into a request whose parts are all good."""
        call = call_of(case)
        # Credentials are made up too; the caller's own count.
        for part, own in ((case.headers, "headers"), (case.cookies, "cookies")):
            part.update({name: value for name, value in self.callers[who].get(own, {}).items() if name in part})
        names = {**self.ids, "prefix": choose.choice(self.prefixes)}
        case.path_parameters = {
            name: names.get(name, value) if choose.random() < 0.9 else value
            for name, value in (case.path_parameters or {}).items()
        }
        case.query = self._query(call, dict(case.query or {}), who, choose)
        if isinstance(case.body, dict):
            case.body = self._body(call, case.body, choose)
            self._to_the_edge(call, case.body, choose)
        elif case.media_type == "text/csv":
            case.body = csv_of(case.body, choose)

    def _query(self, call: str, query: dict[str, Any], who: str, choose: random.Random) -> dict[str, Any]:
        kept = {name: value for name, value in query.items() if name in REQUIRED or choose.random() < 0.4}
        named = NAMED | {"bot_id": "known", "cursor": self.cursors.get(call) or None}
        kept = {name: named[name] if name in named and choose.random() < 0.9 else value for name, value in kept.items()}
        gone = {"bot_id"} if who == "bot" else set()
        return {name: value for name, value in kept.items() if value is not None and name not in gone}

    def _body(self, call: str, made: dict[str, Any], choose: random.Random) -> Any:
        """A body of which most should be taken: new, sent before, or sent before with other content."""
        before, chance = self.sent.get(call), choose.random()
        if before is not None and chance < 0.1:
            return deepcopy(before)
        if chance > 0.9 or call not in WRITES or not WRITES[call].body:
            return made
        if call == "POST /batch":
            body: Any = {"operations": [self._operation(choose) for _ in range(choose.randint(1, 5))]}
        elif call == "POST /auth/confirm":
            return {"password": PASSWORD if choose.random() < 0.5 else made.get("password", "")}
        else:
            body = self._grafted(call, made, choose, before if chance < 0.2 else None)
        self.sent[call] = deepcopy(body)
        return body

    def _grafted(self, call: str, made: dict[str, Any], choose: random.Random, before: Any) -> Any:
        write = WRITES[call]
        body = write.body if before is None else before
        part, new = body, made
        for step in write.at:
            part, new = part[step] if part else {}, reached(new, step)
        new = new if isinstance(new, dict) else {}
        taken = {name: value for name, value in new.items() if choose.random() < 0.4 and name != IDS.get(call)}
        fields = {**part, **taken}
        if call in IDS and before is None:
            fields[IDS[call]] = self.new_name()
        return deepcopy(changed(body, write.at, whole(call, fields, choose)))

    def _to_the_edge(self, call: str, body: Any, choose: random.Random) -> None:
        """Now and then put the least, the most or nothing into one field."""
        write = WRITES.get(call)
        if write is None or not write.body or choose.random() > 0.3:
            return
        method, path = call.split()
        found = edges(self.described, method.lower(), f"/api/v1{path}", write.at)
        fields = {name: ends for name, ends in found.items() if ends and name != IDS.get(call)}
        part = body
        for step in write.at:
            part = reached(part, step)
        if isinstance(part, dict) and fields:
            name = choose.choice(list(fields))
            part[name] = choose.choice(fields[name])
            whole(call, part, choose)

    def _operation(self, choose: random.Random) -> dict[str, Any]:
        op = choose.choice(list(OPERATIONS))
        data = dict(OPERATIONS[op][0])
        if choose.random() < 0.5:
            data |= {name: value for name, value in dict(self.sent.get(f"POST /{op}s") or {}).items() if name in data}
        if op in OPERATION_IDS and choose.random() < 0.8:
            data[OPERATION_IDS[op]] = self.new_name()
        return {"op": op, "data": data}

    def learn(self, case: Any, response: Any) -> None:
        """Keep where a list goes on."""
        if case.operation.method == "get" and response.status_code == 200:
            cursor = response.json().get("next")
            self.cursors[call_of(case)] = cursor or self.cursors.get(call_of(case), "")

    def new_name(self) -> str:
        self.numbers += 1
        return f"made-{self.numbers}"


def call_of(case: Any) -> str:
    """Return a call as the catalogue names it."""
    return f"{case.operation.method.upper()} {case.operation.path.removeprefix('/api/v1')}"


def reached(value: Any, step: str | int) -> Any:
    """Return a part of a body, None where it is not there."""
    if isinstance(step, int):
        return value[-1] if isinstance(value, list) and value else None
    return value.get(step) if isinstance(value, dict) else None


# --- the rules between fields


def _order(body: dict[str, Any], choose: random.Random) -> None:
    if body["order_type"] in ("limit", "stop_limit") and body.get("price") is None:
        body["price"] = "100"
    if body.get("status") is not None:
        body["intent"] = "report"


def _fill(body: dict[str, Any], choose: random.Random) -> None:
    if choose.random() < 0.7:
        body["order_id"] = "o1"
    if isinstance(body.get("order"), dict):
        body["order_id"] = choose.choice(["o1", f"carried-{choose.randrange(30)}"])
        body["order"] = {**ORDER, **body["order"], "order_id": body["order_id"]}
        _order(body["order"], choose)


def _balance(body: dict[str, Any], choose: random.Random) -> None:
    body["amount"] = body.get("amount") or "5"
    if body.get("snapshot_type") not in ("deposit", "withdrawal"):
        del body["amount"]


def _trade(body: dict[str, Any], choose: random.Random) -> None:
    if body.get("exit_price") is not None or body.get("exit_time") is not None:
        body["exit_price"] = body.get("exit_price") or "101"
        body["exit_time"] = timezone.now().isoformat()


def _control(body: dict[str, Any], choose: random.Random) -> None:
    body["target"] = TARGETS.get(body["scope"], body.get("target"))


def _case(body: dict[str, Any], choose: random.Random) -> None:
    if body.get("status") == "resolved":
        body["resolution"] = body.get("resolution") or "looked into"


RULES: dict[str, Callable[[dict[str, Any], random.Random], None]] = {
    "POST /orders": _order, "POST /risk/check": _order, "POST /fills": _fill, "POST /balances": _balance,
    "POST /trades": _trade, "POST /control": _control, "PATCH /reconciliation/cases/{case_id}": _case,
}  # fmt: skip


def whole(call: str, body: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    """Put right, nearly always, what a description cannot say of the fields together."""
    if call in RULES and choose.random() < 0.95:
        RULES[call](body, choose)
    return body


def csv_of(made: Any, choose: random.Random) -> str:
    """Candles as CSV, and behind them what was made up."""
    first = datetime.fromisoformat(THEN)
    times = [first - timedelta(minutes=5 * choose.randrange(1000)) for _ in range(choose.randrange(20))]
    rows = [",".join([time.isoformat(), *CANDLE[1:]]) + "\n" for time in times]
    return CSV_HEADER.decode() + "".join(rows) + (str(made) if choose.random() < 0.5 else "")
