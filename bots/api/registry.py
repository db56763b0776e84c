"""Bots and their tokens, for staff."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Path, Query
from pydantic import BaseModel

from accounts.choices import Role
from bots.api import rows
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.queries import BotQuery
from bots.api.routers import staff as router
from bots.api.schemas import BotIn, BotPatch, NewTokenIn
from bots.choices import BotStatus
from bots.ledger.shapes import stamp
from bots.selectors.bots import bot_get, bot_row, bot_rows, raised_limits, token_row
from bots.services.registry import bot_register, bot_update
from bots.services.tokens import token_create, token_revoke
from tradingdb.lib.acting import acting
from tradingdb.lib.errors import ValidationFailed
from tradingdb.lib.schema import BotId, Ident


class BotList(BaseModel):
    """All bots that fit, by bot_id."""

    items: list[rows.BotOut]  # type: ignore[valid-type]
    next: None = None


class BotDetail(rows.BotOut):  # type: ignore[valid-type, misc]
    """A bot with its tokens, the newest first."""

    tokens: list[rows.TokenOut]  # type: ignore[valid-type]


class NewTokenOut(BaseModel):
    """A new token; `token` is shown this once."""

    bot_id: str
    prefix: str
    token: str
    scopes: list[str]
    expires_at: TimeOut


@router.get("/bots", auth=for_staff(), response={200: BotList, **errors()})
def list_bots(request: HttpRequest, query: Query[BotQuery]) -> HttpResponse:
    """Every bot with its limits and liveness."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    return answer({"items": bot_rows(query.model_dump(), timezone.now(), among=staff.bots), "next": None})


@router.post(
    "/bots", auth=for_staff(Role.ADMIN), response={201: rows.BotOut, 200: rows.BotOut, **errors(409, 413, 415)}
)
def register_bot(request: HttpRequest, body: BotIn) -> HttpResponse:
    """Register a bot, with an account of its own unless one is named."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    bot, is_new = bot_register(**body.model_dump(), actor=staff.actor(request))
    return answer(bot_row(bot, timezone.now()), status=201 if is_new else 200, replayed=not is_new)


@router.get("/bots/{bot_id}", auth=for_staff(), response={200: BotDetail, **errors(404)})
def get_bot(request: HttpRequest, bot_id: Path[BotId]) -> HttpResponse:
    """One bot, with what may be shown of its tokens."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    staff.require_bot(bot_id)
    bot = bot_get(bot_id)
    tokens = [token_row(token) for token in bot.tokens.order_by("-created_at", "-pk")]
    return answer(bot_row(bot, timezone.now()) | {"tokens": tokens})


@router.patch("/bots/{bot_id}", auth=for_staff(Role.TRADER), response={200: rows.BotOut, **errors(404, 413, 415)})
def change_bot(request: HttpRequest, bot_id: Path[BotId], body: BotPatch) -> HttpResponse:
    """Change names, limits or the status of a bot. A trader may pause it; the rest is an admin's."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    changes = body.changes()
    if not changes:
        raise ValidationFailed("Nothing to change.")
    if changes != {"status": BotStatus.PAUSED}:
        staff.require(Role.ADMIN)
    staff.require_bot(bot_id)
    staff.require_act(bot_id)
    if raised_limits(bot_get(bot_id), changes):
        staff.require_fresh()
    with acting(reason=body.reason or ""):
        bot_update(bot_id=bot_id, changes=changes, actor=staff.actor(request), reason=body.reason or "")
    return answer(bot_row(bot_get(bot_id), timezone.now()))


@router.post(
    "/bots/{bot_id}/tokens", auth=for_staff(Role.ADMIN), response={201: NewTokenOut, **errors(404, 409, 413, 415)}
)
def create_token(request: HttpRequest, bot_id: Path[BotId], body: NewTokenIn) -> HttpResponse:
    """Make a token for a bot; its secret is shown this once. Two may be live, so that one can take over."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    staff.require_fresh()
    row, token = token_create(bot_id=bot_id, scopes=body.scopes, days=body.days, actor=staff.actor(request))
    shown = {"bot_id": bot_id, "prefix": row.prefix, "token": token, "scopes": row.scopes}
    return answer(shown | {"expires_at": stamp(row.expires_at)}, status=201)


@router.delete("/bots/{bot_id}/tokens/{prefix}", auth=for_staff(Role.ADMIN), response={204: None, **errors(404)})
def revoke_token(request: HttpRequest, bot_id: Path[BotId], prefix: Path[Ident]) -> HttpResponse:
    """Close a token for good."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    token_revoke(bot_id=bot_id, prefix=prefix, actor=staff.actor(request))
    return HttpResponse(status=204)
