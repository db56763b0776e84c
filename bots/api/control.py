"""Halting and releasing, and the confirmation that a release needs."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import BaseModel

from accounts.choices import Role
from accounts.services.reauthentication import ReauthenticationRequired, reauthenticate
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.routers import staff as router
from bots.api.schemas import ConfirmIn, ControlIn
from bots.choices import ControlLevel, ControlScope
from bots.ledger.shapes import shape, stamp
from bots.models import ControlChange
from bots.selectors.control import Progress, accepted_since, progress_of, restrictions_in_force
from bots.services.control import control_set, state_of
from tradingdb.lib.acting import acting
from tradingdb.lib.bot_rows import of_bots


class ControlOut(BaseModel):
    """The restriction in force for one scope. `id` numbers the change; orders with a greater id came after it."""

    id: int
    scope: Literal[tuple(ControlScope.values)]  # type: ignore[valid-type]
    target: str
    state: Literal[tuple(ControlLevel.values)]  # type: ignore[valid-type]
    version: int
    reason: str
    changed_by_name: str
    since: TimeOut


class ProgressOut(BaseModel):
    """How far one bot is with a restriction: requested, received, done."""

    bot_id: str
    stage: str
    requested_at: TimeOut
    received_at: TimeOut | None
    told_by: str
    done_at: TimeOut | None
    has_open_orders: bool


class InForceOut(ControlOut):
    """A restriction in force, the order requests that were accepted since by their server sequence, and its bots."""

    orders_accepted_since: int
    bots: list[ProgressOut]


class InForceListOut(BaseModel):
    """Every restriction in force, the widest scope first."""

    items: list[InForceOut]


class ChangeOut(BaseModel):
    """One change of a control state; `id` is its server sequence, comparable with those of orders."""

    id: int
    scope: str
    target: str
    state: str
    previous_state: str
    version: int
    reason: str
    changed_by_name: str
    changed_at: TimeOut


class ChangeListOut(BaseModel):
    """The newest changes, newest first."""

    items: list[ChangeOut]


class FreshOut(BaseModel):
    """Until when the confirmation counts."""

    fresh_until: TimeOut


@router.post("/control", auth=for_staff(Role.TRADER), response={200: ControlOut, **errors(404, 413, 415)})
def set_control(request: HttpRequest, body: ControlIn) -> HttpResponse:
    """Halt, reduce or release. Lifting anything (to ACTIVE, and from HALTED to REDUCING) needs an admin who confirmed
    just now to be there. When a halt is answered, no order request that was checked before it can still come through.
    """
    staff: Staff = request.auth  # type: ignore[attr-defined]

    def check_release() -> None:
        staff.require(Role.ADMIN)
        staff.require_fresh()

    if body.state == ControlLevel.ACTIVE:
        check_release()
    staff.require_act(body.target if body.scope == ControlScope.BOT else None)
    with acting(reason=body.reason):
        row = control_set(
            scope=body.scope, target=body.target or "", state=body.state, reason=body.reason,
            actor=staff.actor(request), on_release=check_release,
        )  # fmt: skip
    return answer(state_of(row))


@router.get("/control", auth=for_staff(), response={200: InForceListOut, **errors()})
def list_control(request: HttpRequest) -> HttpResponse:
    """Return every restriction in force, what was accepted since, and how far each bot is."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    items = []
    for row in restrictions_in_force(among=staff.bots):
        change = ControlChange.objects.get(pk=row.server_seq)
        progress = progress_of(change, among=staff.bots)
        bots = [{"bot_id": one.bot_id, "stage": one.stage, **wire_of(one)} for one in progress]
        items.append({**state_of(row), "orders_accepted_since": accepted_since(change), "bots": bots})
    return answer({"items": items})


def wire_of(one: Progress) -> dict[str, Any]:
    """Return the times of a bot's progress as they travel."""
    times = {name: getattr(one, name) for name in ("requested_at", "received_at", "done_at")}
    stamps = {name: None if at is None else stamp(at) for name, at in times.items()}
    return {**stamps, "told_by": one.told_by, "has_open_orders": one.has_open_orders}


@router.get("/control/changes", auth=for_staff(), response={200: ChangeListOut, **errors()})
def list_changes(request: HttpRequest, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> HttpResponse:
    """Return the newest changes of control states, newest first: who, when, from what to what, why."""
    names = tuple(ChangeOut.model_fields)
    staff: Staff = request.auth  # type: ignore[attr-defined]
    rows = of_bots(ControlChange.objects.all(), staff.bots).order_by("-id").values(*names)[:limit]
    return answer({"items": [shape(row, names) for row in rows]})


@router.post("/auth/confirm", auth=for_staff(), response={200: FreshOut, **errors(413, 415)})
def confirm(request: HttpRequest, body: ConfirmIn) -> HttpResponse:
    """Confirm that the person at the session is there, by a code of the second factor, or without one by the password.

    It counts for five minutes. With a passkey the page /account/confirm/ does the same.
    """
    staff: Staff = request.auth  # type: ignore[attr-defined]
    if not staff.has_session:
        raise ReauthenticationRequired("Only a session can be confirmed; a personal token never is fresh.")
    until = reauthenticate(user=staff.user, request=request, password=body.password or "", code=body.code or "")
    return answer({"fresh_until": stamp(until)})
