"""Halting and releasing, and the confirmation that a release needs."""

from typing import Literal

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from accounts.choices import Role
from accounts.services.reauthentication import ReauthenticationRequired, reauthenticate
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.routers import staff as router
from bots.api.schemas import ConfirmIn, ControlIn
from bots.choices import ControlLevel, ControlScope
from bots.ledger.shapes import stamp
from bots.services.control import control_set, state_of


class ControlOut(BaseModel):
    """The restriction in force for one scope."""

    scope: Literal[tuple(ControlScope.values)]  # type: ignore[valid-type]
    target: str
    state: Literal[tuple(ControlLevel.values)]  # type: ignore[valid-type]
    version: int
    reason: str
    changed_by_name: str
    since: TimeOut


class FreshOut(BaseModel):
    """Until when the confirmation counts."""

    fresh_until: TimeOut


@router.post("/control", auth=for_staff(Role.TRADER), response={200: ControlOut, **errors(404, 413, 415)})
def set_control(request: HttpRequest, body: ControlIn) -> HttpResponse:
    """Halt, reduce or release. Releasing (ACTIVE) needs an admin who confirmed just now to be there."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    if body.state == ControlLevel.ACTIVE:
        staff.require(Role.ADMIN)
        staff.require_fresh()
    staff.require_act(body.target if body.scope == ControlScope.BOT else None)
    row = control_set(
        scope=body.scope, target=body.target or "", state=body.state, reason=body.reason, actor=staff.actor(request)
    )
    return answer(state_of(row))


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
