"""Halting and releasing, and the confirmation that a release needs."""

from typing import Literal

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from accounts.choices import Role
from accounts.services.reauthentication import ReauthenticationRequired, reauthenticate
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.routers import staff as router
from bots.api.schemas import ControlIn, PasswordIn
from bots.choices import ControlLevel, ControlScope
from bots.ledger.shapes import stamp
from bots.services.control import control_set, state_of


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


class FreshOut(BaseModel):
    """Until when the confirmation counts."""

    fresh_until: TimeOut


@router.post("/control", auth=for_staff(Role.TRADER), response={200: ControlOut, **errors(404, 413, 415)})
def set_control(request: HttpRequest, body: ControlIn) -> HttpResponse:
    """Halt, reduce or release. Lifting anything (to ACTIVE, and from HALTED to REDUCING) needs an admin whose password
    was confirmed just now. When a halt is answered, no order request that was checked before it can still come through.
    """
    staff: Staff = request.auth  # type: ignore[attr-defined]

    def check_release() -> None:
        staff.require(Role.ADMIN)
        staff.require_fresh()

    if body.state == ControlLevel.ACTIVE:
        check_release()
    row = control_set(
        scope=body.scope, target=body.target or "", state=body.state, reason=body.reason, actor=staff.actor(request),
        on_release=check_release,
    )  # fmt: skip
    return answer(state_of(row))


@router.post("/auth/confirm", auth=for_staff(), response={200: FreshOut, **errors(413, 415)})
def confirm_password(request: HttpRequest, body: PasswordIn) -> HttpResponse:
    """Confirm the password of the person at the session; it counts for five minutes."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    if not staff.has_session:
        raise ReauthenticationRequired("Only a session can be confirmed; a personal token never is fresh.")
    return answer({"fresh_until": stamp(reauthenticate(user=staff.user, password=body.password, request=request))})
