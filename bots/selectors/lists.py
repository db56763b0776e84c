"""Lists of ledger rows, newest first: what can be filtered, and how a row looks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db.models import Model, Q, QuerySet

from audit.models import RiskEvent, UserAction
from bots.choices import OPEN_POSITION_STATUSES, ParkedState
from bots.ledger.shapes import BALANCE, FILL, ORDER, POSITION, SIGNAL, TRADE, shape, trade_shape
from bots.models import (
    AccountBalance,
    Fill,
    IngestConflict,
    Order,
    ParkedFact,
    Position,
    ReconciliationCase,
    Signal,
    Trade,
)
from bots.selectors.conflicts import stored_bodies
from bots.selectors.fields import ACTION, CASE, CONFLICT, PARKED, RISK_EVENT, STAFF_CASE

Row = dict[str, Any]
Moment = datetime | date
# A list that has no such column has no row that fits.
NOTHING = Q(pk__in=[])


def equals(column: str) -> Callable[[Any], Q]:
    """Filter on one column."""
    return lambda value: Q(**{column: value})


def nothing(_: Any) -> Q:
    """Filter on something these rows do not have."""
    return NOTHING


def _signal_status(value: str) -> Q:
    return {"executed": Q(executed=True), "rejected": Q(rejected=True)}.get(value, Q(executed=False, rejected=False))


def _position_status(value: str) -> Q:
    is_open = Q(status__in=OPEN_POSITION_STATUSES)
    return {"open": is_open, "closed": ~is_open}.get(value, Q(status=value))


def _trade_status(value: str) -> Q:
    return Q(exit_time__isnull=value == "open")


@dataclass(frozen=True, slots=True)
class Listing:
    """One list: its rows, the time they are ordered by, the columns they are read with, and their wire form.

    `filters` turns the value of a parameter into a condition; bot_id, start and end every list has, and `bots`, those
    a person sees. `complete` adds to the rows of a page what their columns do not say.
    """

    model: type[Model]
    time: str
    columns: tuple[str, ...]
    shape: Callable[[Row], Row]
    filters: Mapping[str, Callable[[Any], Q]] = field(default_factory=dict)
    complete: Callable[[list[Row]], list[Row]] = list

    def select(self, given: Mapping[str, Any]) -> QuerySet[Any]:
        """Return the rows that fit what was given, newest first; None is "not given"."""
        rows = self.model._default_manager.all()
        known = {
            "bots": equals("bot_id__in"),
            "bot_id": equals("bot_id"),
            "start": equals(f"{self.time}__gte"),
            "end": equals(f"{self.time}__lt"),
        }
        for name, condition in {**known, **self.filters}.items():
            if given.get(name) is not None:
                rows = rows.filter(condition(given[name]))
        return rows.order_by(f"-{self.time}", "-pk")

    def page(self, given: Mapping[str, Any], *, limit: int, after: tuple[Moment, int] | None) -> list[Row]:
        """Return up to `limit` rows, from the one behind the key (time, id) `after` on."""
        rows = self.select(given)
        if after is not None:
            time, key = after
            # The first condition alone can use an index on the time.
            rows = rows.filter(Q(**{f"{self.time}__lte": time}), Q(**{f"{self.time}__lt": time}) | Q(pk__lt=key))
        return self.complete(list(rows.values(*dict.fromkeys((*self.columns, self.time, "id")))[:limit]))


def case_row(case: ReconciliationCase) -> Row:
    """Return one case as staff see it."""
    row = {name: getattr(case, name) for name in CASE}
    row |= {"account_id": case.account and case.account.account_id, "owner": case.owner and case.owner.email}
    return shape(row, STAFF_CASE)


def listing(model: type[Model], time: str, columns: tuple[str, ...], **filters: Callable[[Any], Q]) -> Listing:
    """Build a list whose wire form is its columns as they are."""
    return Listing(model, time, columns, lambda row: shape(row, columns), filters)


SIGNALS = listing(
    Signal, "timestamp", SIGNAL, symbol=equals("symbol"), side=equals("signal_type"), status=_signal_status
)
ORDERS = listing(Order, "created_at", ORDER, symbol=equals("symbol"), side=equals("side"), status=equals("status"))
FILLS = listing(Fill, "executed_at", FILL, symbol=equals("symbol"), side=equals("side"), status=nothing)
POSITIONS = listing(
    Position, "opened_at", POSITION, symbol=equals("symbol"), side=equals("side"), status=_position_status
)
TRADES = Listing(
    Trade,
    "entry_time",
    tuple(name for name in TRADE if name != "net_pnl"),
    trade_shape,
    {"symbol": equals("symbol"), "side": equals("side"), "status": _trade_status},
)
BALANCES = listing(AccountBalance, "timestamp", BALANCE, symbol=nothing, side=nothing, status=nothing)
CASES = Listing(
    ReconciliationCase,
    "opened_at",
    (*CASE, "account__account_id", "owner__email"),
    lambda row: shape(row | {"account_id": row["account__account_id"], "owner": row["owner__email"]}, STAFF_CASE),
    {"symbol": equals("symbol"), "kind": equals("kind"), "status": equals("status")},
)
CONFLICTS = Listing(
    IngestConflict,
    "received_at",
    CONFLICT,
    lambda row: shape(row, CONFLICT),
    {"kind": equals("kind"), "status": equals("status")},
    complete=lambda rows: [row | {"stored_body": body} for row, body in zip(rows, stored_bodies(rows), strict=True)],
)
PARKED_FACTS = listing(
    ParkedFact,
    "received_at",
    PARKED,
    kind=equals("kind"),
    status=lambda value: Q(state=ParkedState(value)),
    order_id=equals("order_id"),
)
RISK_EVENTS = listing(
    RiskEvent,
    "event_time",
    RISK_EVENT,
    symbol=equals("symbol"),
    risk_type=equals("risk_type"),
    resolved=equals("resolved"),
)
ACTIONS = listing(
    UserAction,
    "created_at",
    ACTION,
    user_email=equals("user_email"),
    action=equals("action"),
    resource_type=equals("resource_type"),
    resource_id=equals("resource_id"),
    # No parameter of a call: what the person may not see.
    hidden=lambda kinds: ~Q(resource_type__in=kinds),
)
