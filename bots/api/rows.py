"""The rows of the answers as OpenAPI describes them, read off the models so that they cannot differ from them."""

from typing import Any, Literal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from pydantic import BaseModel, create_model

from audit.models import RiskEvent, UserAction
from bots.api.answers import DateOut, DecimalOut, TimeOut
from bots.ledger.shapes import BALANCE, FILL, ORDER, POSITION, SIGNAL, TRADE
from bots.models import (
    AccountBalance,
    Bot,
    BotToken,
    Fill,
    IngestConflict,
    Order,
    ParkedFact,
    Position,
    ReconciliationCase,
    Signal,
    Trade,
)
from bots.selectors.fields import ACTION, BOT, CASE, CONFLICT, LIMITS, PARKED, RISK_EVENT, TOKEN

TYPES: tuple[tuple[Any, Any], ...] = (
    (models.DecimalField, DecimalOut),
    (models.DateTimeField, TimeOut),
    (models.DateField, DateOut),
    (models.BooleanField, bool),
    (models.IntegerField, int),
    (models.FloatField, float),
    (ArrayField, list[str]),
    (models.JSONField, Any),
    (models.GenericIPAddressField, str),
    (models.CharField, str),
    (models.TextField, str),
)


def column_type(model: type[models.Model], name: str) -> Any:
    """Return how a column of a model looks on the wire."""
    column: Any = model._meta.get_field(name)
    if isinstance(column, models.ForeignKey):
        return str | None if column.null else str
    if isinstance(column, models.GeneratedField):
        column = column.output_field
    if column.choices and not isinstance(column, ArrayField):
        found: Any = Literal[tuple(str(value) for value, _ in column.flatchoices)]
    else:
        found = next(wire for kind, wire in TYPES if isinstance(column, kind))
    return found | None if column.null and found is not Any else found


def row_model(title: str, model: type[models.Model], columns: tuple[str, ...], **others: Any) -> type[BaseModel]:
    """Return a model of the wire form of these columns; `others` are fields that are no column, or differ from it."""
    fields: dict[str, Any] = {
        name: (others.get(name) or column_type(model, name), ...) for name in columns if name not in others
    }
    fields |= {name: (kind, ...) for name, kind in others.items()}
    docs = (model.__doc__ or "").strip().splitlines()[0]
    return create_model(title, __doc__=docs, **fields)


def page_model(row: type[BaseModel]) -> type[BaseModel]:
    """Return a model of one page of such rows."""
    name = row.__name__.removesuffix("Out") + "Page"
    items = (list[row], ...)  # type: ignore[valid-type]
    return create_model(name, __doc__="One page; `next` names the next one.", items=items, next=(str | None, ...))


SignalOut = row_model("SignalOut", Signal, SIGNAL)
OrderOut = row_model("OrderOut", Order, ORDER)
FillOut = row_model("FillOut", Fill, FILL)
PositionOut = row_model("PositionOut", Position, POSITION)
TradeOut = row_model(
    "TradeOut",
    Trade,
    tuple(name for name in TRADE if name != "net_pnl"),
    net_pnl=DecimalOut,
    status=Literal["open", "closed"],
)
BalanceOut = row_model("BalanceOut", AccountBalance, BALANCE)
CaseOut = row_model("CaseOut", ReconciliationCase, CASE)
StaffCaseOut = row_model("StaffCaseOut", ReconciliationCase, CASE, account_id=str | None, owner=str | None)
ConflictOut = row_model("ConflictOut", IngestConflict, CONFLICT)
ParkedOut = row_model("ParkedOut", ParkedFact, PARKED)
RiskEventOut = row_model("RiskEventOut", RiskEvent, RISK_EVENT)
ActionOut = row_model("ActionOut", UserAction, ACTION)
LimitsOut = row_model("LimitsOut", Bot, LIMITS)
TokenOut = row_model("TokenOut", BotToken, TOKEN)
BotOut = row_model(
    "BotOut",
    Bot,
    BOT,
    account_id=str,
    limits=LimitsOut,
    liveness=Literal["new", "up", "late", "down", "stopped", "archived"],
)
