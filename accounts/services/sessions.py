"""Sessions: listed, and ended. An ended one opens nothing from the next request on; its sockets close within 5 s."""

from django.db import transaction
from django.utils import timezone

from accounts.models import Session, User
from audit.services.actions import Actor
from tradingdb.lib.errors import NotFound


def session_id(row: Session) -> str:
    """Return what names a session on pages: the start of its key opens nothing."""
    return row.session_key[:8]


def sessions_of(user: User) -> list[Session]:
    """Return the sessions that are open, the newest first."""
    return list(Session.objects.filter(user=user, expire_date__gt=timezone.now()).order_by("-seen_at"))


@transaction.atomic
def session_end(*, row: Session, actor: Actor, reason: str = "") -> None:
    """End one session."""
    deleted, _ = Session.objects.filter(pk=row.pk).delete()
    if deleted:
        actor.record("session.end", "user", str(row.user), before={"session": session_id(row)}, reason=reason)


@transaction.atomic
def own_session_end(*, user: User, named: str, actor: Actor) -> None:
    """End one of one's own sessions. Raises NotFound for one of somebody else."""
    row = next((row for row in sessions_of(user) if session_id(row) == named), None)
    if row is None:
        raise NotFound("You have no such session.")
    session_end(row=row, actor=actor)


@transaction.atomic
def sessions_end(*, user: User, actor: Actor, reason: str = "", but: str | None = None) -> int:
    """End all sessions of a person but one; return how many."""
    rows = Session.objects.filter(user=user)
    if but is not None:
        rows = rows.exclude(session_key=but)
    ended, _ = rows.delete()
    if ended:
        actor.record("session.end_all", "user", str(user), after={"ended": ended}, reason=reason)
    return ended
