"""The invariants of the ledger: the last report, and a run when somebody asks for one."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from accounts.choices import Role
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.routers import staff as router
from bots.services.invariants.run import invariants_sweep, invariants_verify, last_report


class FindingsOut(BaseModel):
    """How many rows break an invariant, and the first 20 of them."""

    count: int
    rows: list[dict[str, Any]]


class ReportOut(BaseModel):
    """One run over the ledger as it was at one moment; each invariant by its name."""

    at: TimeOut
    ok: bool
    invariants: dict[str, FindingsOut]


@router.get("/invariants", auth=for_staff(), response={200: ReportOut, 204: None, **errors(503)})
def get_invariants(request: HttpRequest, run: bool = True) -> HttpResponse:
    """The last report; the first one is made for whoever asks first, unless `run` is false: 204 then."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    staff.require_all_bots()
    report = last_report()
    if report is None and not run:
        return HttpResponse(status=204)
    return answer(report or invariants_sweep())


@router.post("/invariants/run", auth=for_staff(Role.TRADER), response={200: ReportOut, **errors(413, 415)})
def run_invariants(request: HttpRequest) -> HttpResponse:
    """Ask every invariant now, over the whole ledger, and answer with what they found."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    staff.require_all_bots()
    return answer(invariants_verify())
