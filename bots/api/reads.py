"""What a bot reads of its own rows, and staff of everybody's."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query
from pydantic import BaseModel, RootModel

from bots.api import queries, rows
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import Staff, for_bots, for_readers
from bots.api.pagination import PageQuery, page_of
from bots.api.routers import bots as router
from bots.choices import TokenScope
from bots.ledger.shapes import stamp
from bots.selectors import lists
from bots.selectors.bots import bot_get, bot_row
from bots.selectors.lists import Listing
from bots.services.scope import bot_scope
from config_app.choices import ConfigType
from config_app.services.configurations import active_configurations
from tradingdb.lib.schema import failure_of
from tradingdb.lib.tokens import TokenContext


class MeOut(rows.BotOut):  # type: ignore[valid-type, misc]
    """The bot a token belongs to, with the token's scopes and end."""

    scopes: list[str]
    expires_at: TimeOut


class ConfigEntry(BaseModel):
    """One active configuration."""

    version: int
    config_type: Literal[tuple(ConfigType.values)] | None  # type: ignore[valid-type]
    value: Any


class ConfigOut(RootModel[dict[str, ConfigEntry]]):
    """The active configuration of a bot by key."""


def caller_bot(request: HttpRequest, bot_id: str | None) -> str | None:
    """Return whose rows the caller reads: a bot its own, staff those of the bot they name, None for all."""
    caller = request.auth  # type: ignore[attr-defined]
    return caller.bot_id if isinstance(caller, TokenContext) else bot_id


def staff_bots(request: HttpRequest) -> frozenset[str] | None:
    """Return the bots a person sees; None for all, and for a bot, which sees itself."""
    caller = request.auth  # type: ignore[attr-defined]
    return caller.bots if isinstance(caller, Staff) else None


def scope_of(request: HttpRequest) -> AbstractContextManager[None]:
    """Return what the caller's reads run in: for a bot, row security with its own rows; for staff, nothing."""
    caller = request.auth  # type: ignore[attr-defined]
    return bot_scope(caller.bot_id) if isinstance(caller, TokenContext) else nullcontext()


def page(request: HttpRequest, listing: Listing, query: PageQuery, **more: Any) -> HttpResponse:
    """Answer with one page of a list. more: conditions that the caller cannot give."""
    given = {**query.model_dump(exclude={"limit", "cursor"}), **more}
    if "bot_id" in given:
        given["bot_id"] = caller_bot(request, given["bot_id"])
    given["bots"] = staff_bots(request)
    with scope_of(request):
        return answer(page_of(listing, given, query))


@router.get("/me", auth=for_bots(TokenScope.READ, "reads"), response={200: MeOut, **errors()})
def get_me(request: HttpRequest) -> HttpResponse:
    """The bot this token belongs to: its status, limits and scopes."""
    caller: TokenContext = request.auth  # type: ignore[attr-defined]
    with scope_of(request):
        row = bot_row(bot_get(caller.bot_id), timezone.now())
    return answer(row | {"scopes": sorted(caller.scopes), "expires_at": stamp(caller.expires_at)})


@router.get("/config", auth=for_readers(), response={200: ConfigOut, **errors(404)})
def get_config(request: HttpRequest, query: Query[queries.ConfigQuery]) -> HttpResponse:
    """The active configuration of the bot; staff name it."""
    bot_id = caller_bot(request, query.bot_id)
    if bot_id is None:
        raise failure_of([(("query", "bot_id"), "is needed from staff")])
    if isinstance(request.auth, Staff):  # type: ignore[attr-defined]
        request.auth.require_bot(bot_id)  # type: ignore[attr-defined]
    with scope_of(request):
        bot_get(bot_id)
        return answer(active_configurations(bot_id))


SignalPage, OrderPage = rows.page_model(rows.SignalOut), rows.page_model(rows.OrderOut)
FillPage, PositionPage = rows.page_model(rows.FillOut), rows.page_model(rows.PositionOut)
TradePage, BalancePage = rows.page_model(rows.TradeOut), rows.page_model(rows.BalanceOut)


@router.get("/signals", auth=for_readers(), response={200: SignalPage, **errors()})
def list_signals(request: HttpRequest, query: Query[queries.SignalQuery]) -> HttpResponse:
    """Signals, newest first."""
    return page(request, lists.SIGNALS, query)


@router.get("/orders", auth=for_readers(), response={200: OrderPage, **errors()})
def list_orders(request: HttpRequest, query: Query[queries.OrderQuery]) -> HttpResponse:
    """Orders, newest first."""
    return page(request, lists.ORDERS, query)


@router.get("/fills", auth=for_readers(), response={200: FillPage, **errors()})
def list_fills(request: HttpRequest, query: Query[queries.FillQuery]) -> HttpResponse:
    """Fills, newest first."""
    return page(request, lists.FILLS, query)


@router.get("/positions", auth=for_readers(), response={200: PositionPage, **errors()})
def list_positions(request: HttpRequest, query: Query[queries.PositionQuery]) -> HttpResponse:
    """Positions, newest first, open and closed unless `status` says otherwise."""
    return page(request, lists.POSITIONS, query)


@router.get("/trades", auth=for_readers(), response={200: TradePage, **errors()})
def list_trades(request: HttpRequest, query: Query[queries.TradeQuery]) -> HttpResponse:
    """Round trips, newest first, open and closed unless `status` says otherwise."""
    return page(request, lists.TRADES, query)


@router.get("/balances", auth=for_readers(), response={200: BalancePage, **errors()})
def list_balances(request: HttpRequest, query: Query[queries.BalanceQuery]) -> HttpResponse:
    """Balances, newest first."""
    return page(request, lists.BALANCES, query)
