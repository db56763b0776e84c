"""What people look through and settle: cases, conflicts, parked facts, risk events, and what people did."""

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query

from accounts.choices import Role
from audit.models import RiskEvent
from audit.services.actions import FOR_ADMINS
from audit.services.risk_events import risk_event_resolve
from bots.api import queries, rows
from bots.api.answers import answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.pagination import Id
from bots.api.reads import page
from bots.api.routers import staff as router
from bots.api.schemas import CasePatch, ResolveIn
from bots.choices import CaseStatus
from bots.ledger.shapes import shape
from bots.models import ReconciliationCase
from bots.selectors import lists
from bots.selectors.fields import RISK_EVENT
from bots.services.cases import case_update

CasePage, ConflictPage = rows.page_model(rows.StaffCaseOut), rows.page_model(rows.ConflictOut)
ParkedPage, RiskEventPage = rows.page_model(rows.ParkedOut), rows.page_model(rows.RiskEventOut)
ActionPage = rows.page_model(rows.ActionOut)


def _require(staff: Staff, model: type[Model], key: int) -> None:
    """Raise NotFound for a row of a bot that the person does not see, PermissionDenied for one not to act on."""
    if staff.bots is None:
        return
    bot_id = model._default_manager.filter(pk=key).values_list("bot_id", flat=True).first()
    staff.require_bot(bot_id)
    staff.require_act(bot_id)


@router.get("/reconciliation/cases", auth=for_staff(), response={200: CasePage, **errors()})
def list_cases(request: HttpRequest, query: Query[queries.CaseQuery]) -> HttpResponse:
    """Cases in which two sources disagree, newest first."""
    return page(request, lists.CASES, query)


@router.patch(
    "/reconciliation/cases/{case_id}",
    auth=for_staff(Role.TRADER),
    response={200: rows.StaffCaseOut, **errors(404, 409, 413, 415)},
)
def change_case(request: HttpRequest, case_id: Path[Id], body: CasePatch) -> HttpResponse:
    """Look into a case, explain it, close it. Who looks into it becomes its owner."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    _require(staff, ReconciliationCase, case_id)
    changes = body.model_dump(exclude_none=True)
    if changes.get("status") == CaseStatus.INVESTIGATING:
        changes["owner"] = staff.user
    case = case_update(case_id=case_id, changes=changes, actor=staff.actor(request))
    return answer(lists.case_row(case))


@router.get("/conflicts", auth=for_staff(), response={200: ConflictPage, **errors()})
def list_conflicts(request: HttpRequest, query: Query[queries.ConflictQuery]) -> HttpResponse:
    """Facts that came again with other content, both bodies, newest first."""
    return page(request, lists.CONFLICTS, query)


@router.get("/parked", auth=for_staff(), response={200: ParkedPage, **errors()})
def list_parked(request: HttpRequest, query: Query[queries.ParkedQuery]) -> HttpResponse:
    """Facts that came before their order, newest first; those that were applied since stay in the list."""
    return page(request, lists.PARKED_FACTS, query)


@router.get("/risk/events", auth=for_staff(), response={200: RiskEventPage, **errors()})
def list_risk_events(request: HttpRequest, query: Query[queries.RiskEventQuery]) -> HttpResponse:
    """Limits that were broken or held, newest first."""
    return page(request, lists.RISK_EVENTS, query)


@router.post(
    "/risk/events/{event_id}/resolve",
    auth=for_staff(Role.TRADER),
    response={200: rows.RiskEventOut, **errors(404, 413, 415)},
)
def resolve_risk_event(request: HttpRequest, event_id: Path[Id], body: ResolveIn) -> HttpResponse:
    """Close a risk event; the first closing stays."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    _require(staff, RiskEvent, event_id)
    event, was_open = risk_event_resolve(event_id=event_id, notes=body.notes, actor=staff.actor(request))
    row = shape({name: getattr(event, name) for name in RISK_EVENT}, RISK_EVENT)
    return answer(row, replayed=not was_open)


@router.get("/audit/actions", auth=for_staff(), response={200: ActionPage, **errors()})
def list_actions(request: HttpRequest, query: Query[queries.ActionQuery]) -> HttpResponse:
    """What people did, newest first."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    staff.require_all_bots()
    return page(request, lists.ACTIONS, query, hidden=None if staff.user.is_admin else FOR_ADMINS)
