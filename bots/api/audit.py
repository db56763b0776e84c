"""The audit trail: whether anybody rewrote it, or changed a row behind its back."""

from typing import Literal

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from accounts.choices import Role
from audit.choices import CheckKind
from audit.trail.verify import trail_verify
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.routers import staff as router


class ProblemOut(BaseModel):
    """Something wrong: the seal it was found at, its name, and words for people."""

    seal: int | None
    problem: str
    detail: str


class AuditReportOut(BaseModel):
    """One check. Problems of seals come first, the first broken seal at their head."""

    at: TimeOut
    kind: Literal[tuple(CheckKind.values)]  # type: ignore[valid-type]
    ok: bool
    from_seal: int
    to_seal: int
    rows: int
    seconds: float
    unsealed_rows: int
    unsealed_seconds: float
    anchors: int
    problems: list[ProblemOut]


@router.get("/audit/verify", auth=for_staff(), response={200: AuditReportOut, **errors()})
def verify_audit(request: HttpRequest, full: bool = False) -> HttpResponse:
    """Check the trail from the last good check on, or `full` (traders and admins), all of it.

    503 while another check runs.
    """
    staff: Staff = request.auth  # type: ignore[attr-defined]
    staff.require_all_bots()
    if full:
        staff.require(Role.TRADER)
    return answer(trail_verify(full=full))
